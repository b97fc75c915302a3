"""The Bigtable table as proofreading servers read it: columns, cells, counters, meta."""
