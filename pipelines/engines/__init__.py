"""Everything that knows Apache Beam: transforms, worker processes, engines and their errors."""
