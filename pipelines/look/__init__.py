"""Looking at a home: statistics, status, single documents, differences, exports, the report."""
