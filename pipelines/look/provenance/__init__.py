"""What a home is made of, for others to read: people, catalogues and auditors."""
