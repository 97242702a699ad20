"""fp32 graphs → int8 or fp16 graphs, and the rule for which of them to ship."""
