"""What a controller can be asked over HTTP: views, no rules. Everything it says is JSON, or text for Prometheus."""
