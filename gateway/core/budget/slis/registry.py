"""All kinds of SLI: `kind` in YAML = key here = file name."""

from collections.abc import Mapping

from gateway.core.budget.sli import Sli
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.coherence import Coherence
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.itl import Itl
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Ttft

SLIS: Mapping[str, type[Sli]] = {
    "availability": Availability,
    "ttft": Ttft,
    "itl": Itl,
    "quality": Quality,
    "coherence": Coherence,
    "cost": Cost,
}
