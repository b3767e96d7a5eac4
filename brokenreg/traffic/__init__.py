"""What passed: one `Exchange` per request, in one bounded `TrafficLog`, written by the `Recorder`."""
