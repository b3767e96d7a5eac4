"""The gate: responses that are held, stepped, edited, resumed or aborted, and breakpoints."""
