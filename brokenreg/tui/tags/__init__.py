"""The Tags tab: repositories, tags and what they lead to."""
