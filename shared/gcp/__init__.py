"""The ports of the pipeline answered by Google's services; nothing outside imports `google.cloud`."""
