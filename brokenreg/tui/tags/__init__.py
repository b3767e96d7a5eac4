"""The Tags tab: repositories, their tags, and what these point to."""
