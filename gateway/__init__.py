"""Sluice: an OpenAI-compatible gateway that spends money, latency and errors as budgets."""
