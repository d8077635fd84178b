"""All laws: `kind` in YAML = key here = file name."""

from collections.abc import Mapping

from gateway.core.pricing.law import Law
from gateway.core.pricing.laws.shadow_price import ShadowPriceLaw
from gateway.core.pricing.laws.static import StaticLaw

LAWS: Mapping[str, type[Law]] = {"static": StaticLaw, "shadow_price": ShadowPriceLaw}
