"""How hypothesis runs here."""

from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: pytest's own timeout is the limit.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
