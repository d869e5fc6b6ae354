"""Everything that knows Apache Beam: transforms, the pool of children, engines, their errors."""
