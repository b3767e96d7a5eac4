"""Records traffic: the `Recorder` writes one `Exchange` per request to one bounded `TrafficLog`."""
