"""All laws: `kind` in YAML = key here = file name."""

from collections.abc import Mapping

from gateway.core.pricing.law import Law
from gateway.core.pricing.laws.pid import PidLaw
from gateway.core.pricing.laws.shadow_price import ShadowPriceLaw
from gateway.core.pricing.laws.static import StaticLaw
from gateway.core.pricing.laws.step import StepLaw

LAWS: Mapping[str, type[Law]] = {"static": StaticLaw, "step": StepLaw, "pid": PidLaw, "shadow_price": ShadowPriceLaw}
