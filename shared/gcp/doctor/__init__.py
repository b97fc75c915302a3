"""What `shared.doctor` asks of the outside, answered by Google's services."""
