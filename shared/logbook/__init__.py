"""The logbook: the lines that workers and functions logged of one chunk, from Cloud Logging or from files."""
