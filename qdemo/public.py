"""All that is public; `import qdemo` gives it name by name, each when it is asked for."""

from qdemo.by_name import compare
from qdemo.measure.logits import LogitDifference, logit_difference
from qdemo.measure.outputs import first_divergence
from qdemo.measure.weights import WeightError, model_weight_errors, pool, weight_error
from qdemo.modeling.convert import cast, cast_counts, freeze, quantize
from qdemo.modeling.footprint import Footprint, footprint
from qdemo.modeling.modules import QEmbedding, QLinear
from qdemo.modeling.saving import load_quantized, save_quantized
from qdemo.modeling.variant import Variant
from qdemo.numerics.bits import Bits, from_pattern, from_value
from qdemo.numerics.casting import CastCount, cast_tensor, count_cast
from qdemo.numerics.formats import FORMATS, Format
from qdemo.numerics.linear import choose_qparams, quantize_tensor
from qdemo.numerics.qtensor import QTensor
from qdemo.numerics.scheme import Scheme
