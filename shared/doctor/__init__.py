"""What is wrong between a project and a graph: checks that look at plain answers of the cloud, and what to type."""
