"""The table in Bigtable: rows written and read by plain protobuf messages."""
