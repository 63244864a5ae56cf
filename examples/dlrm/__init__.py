"""The demo's parts, in the order data flows: job, services, model, training, report."""
