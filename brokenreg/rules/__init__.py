"""Rules: when which fault is applied, and how often; scenarios, path rules and the injector."""
