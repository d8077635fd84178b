"""What can a router builder type? One file a verb."""
