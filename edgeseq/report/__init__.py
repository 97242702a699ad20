"""Results → text, JSON and HTML; the only place that formats."""
