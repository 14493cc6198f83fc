"""Every operator of ONNX and TFLite: its kind, how its work is counted, whether it costs at all.

Owns: the two tables. An operator that stands in none is ``UNKNOWN``: it costs its bytes and is
named in answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeprof.networks.graphs import measures as of
from edgeprof.networks.graphs.measures import Measure
from edgeprof.networks.work import Kind


@dataclass(frozen=True)
class Operator:
    """An entry of the table.

    Attributes:
        kind: of its layers, where ``measure`` does not say otherwise.
        measure: counts its work.
        operations: per element written, where ``measure`` does not count them.
        is_view: whether runtimes do nothing for it: it renames or reshapes.
    """

    kind: Kind
    measure: Measure = of.by_element
    operations: int = 1
    is_view: bool = False


UNKNOWN = Operator(Kind.UNKNOWN)


def _entries(*rows: tuple[Operator, str]) -> dict[str, Operator]:
    return {name: entry for entry, names in rows for name in names.split()}


def _in_domain(domain: str, entries: Mapping[str, Operator]) -> dict[str, Operator]:
    return {f"{domain}::{name}": entry for name, entry in entries.items()}


_VIEW = Operator(Kind.MOVE, is_view=True)
_ACTIVATION = Operator(Kind.ACTIVATION)
_SMOOTH = Operator(Kind.SMOOTH_ACTIVATION, operations=10)
_ELEMENTWISE = Operator(Kind.ELEMENTWISE)
_ADD = Operator(Kind.ELEMENTWISE, of.addition)
_MULTIPLY = Operator(Kind.ELEMENTWISE, of.multiplication)
_SOFTMAX = Operator(Kind.SOFTMAX, operations=5)
_NORM = Operator(Kind.NORMALIZATION, operations=8)
_MAX_POOL = Operator(Kind.MAX_POOL, of.pool)
_AVG_POOL = Operator(Kind.AVG_POOL, of.pool)
_REDUCE = Operator(Kind.REDUCE, of.by_input_element)
_RESIZE = Operator(Kind.RESIZE, operations=8)
_MOVE = Operator(Kind.MOVE)
_SLICE = Operator(Kind.MOVE, of.partial_read)
_GATHER = Operator(Kind.GATHER, of.partial_read)
_SCATTER = Operator(Kind.GATHER)
_QUANTIZE = Operator(Kind.QUANTIZE)
_SORT = Operator(Kind.SORT, of.by_input_element)
_TRANSFORM = Operator(Kind.TRANSFORM, of.transform)
_CONV = Operator(Kind.CONV, of.convolution())
_TRANSPOSED = Operator(Kind.TRANSPOSED_CONV, of.convolution(transposed=True))
_PRODUCT = Operator(Kind.LINEAR, of.product())
_ATTENTION = Operator(Kind.MATMUL, of.attention)

_STANDARD = _entries(
    (
        _VIEW,
        (
            "Identity Dropout Flatten Reshape Squeeze Unsqueeze Shape Size Constant BitCast "
            "Optional OptionalGetElement OptionalHasElement SequenceLength SequenceAt "
            "SequenceConstruct SequenceEmpty SequenceErase SequenceInsert"
        ),
    ),
    (_ACTIVATION, "Relu LeakyRelu PRelu ThresholdedRelu Clip HardSigmoid HardSwish Shrink"),
    (
        _SMOOTH,
        (
            "Sigmoid Tanh Erf Exp Log Softplus Softsign Elu Selu Celu Gelu Mish Swish SwiGLU Sin "
            "Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Pow RotaryEmbedding"
        ),
    ),
    (
        _ELEMENTWISE,
        (
            "Sub Div Max Min Mod Abs Neg Not Sqrt Reciprocal Floor Ceil Round Sign IsNaN IsInf "
            "Where And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual BitShift BitwiseAnd "
            "BitwiseNot BitwiseOr BitwiseXor Trilu EyeLike Range ConstantOfShape RandomNormal "
            "RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial "
            "BlackmanWindow HammingWindow HannWindow MelWeightMatrix"
        ),
    ),
    (_ADD, "Add Sum Mean"),
    (_MULTIPLY, "Mul"),
    (_SOFTMAX, "Softmax LogSoftmax Hardmax"),
    (
        _NORM,
        (
            "LayerNormalization InstanceNormalization GroupNormalization RMSNormalization "
            "LpNormalization MeanVarianceNormalization SimplifiedLayerNormalization"
        ),
    ),
    (Operator(Kind.NORMALIZATION, operations=40), "LRN"),  # a power of each value
    (Operator(Kind.NORMALIZATION, operations=2), "BatchNormalization"),
    (_MAX_POOL, "MaxPool"),
    (_AVG_POOL, "AveragePool LpPool"),
    (
        _REDUCE,
        (
            "GlobalAveragePool GlobalMaxPool GlobalLpPool ReduceL1 ReduceL2 ReduceLogSum "
            "ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare "
            "ArgMax ArgMin CumSum CumProd Det NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss"
        ),
    ),
    (Operator(Kind.RESIZE, of.interpolation), "Resize Upsample"),
    (_RESIZE, "GridSample AffineGrid RoiAlign MaxRoiPool ImageDecoder"),
    (
        _MOVE,
        (
            "Concat Transpose Pad Expand Tile DepthToSpace SpaceToDepth CenterCropPad Col2Im "
            "ReverseSequence ConcatFromSequence SplitToSequence TensorScatter"
        ),
    ),
    (_SLICE, "Slice Split Compress"),
    (_GATHER, "Gather GatherElements GatherND OneHot"),
    (_SCATTER, "Scatter ScatterElements ScatterND MaxUnpool"),
    (_QUANTIZE, "QuantizeLinear DequantizeLinear DynamicQuantizeLinear Cast CastLike"),
    (_SORT, "TopK NonMaxSuppression NonZero Unique"),
    (_TRANSFORM, "DFT STFT"),
    (_CONV, "Conv ConvInteger DeformConv"),
    (Operator(Kind.CONV, of.convolution(weights=3)), "QLinearConv"),
    (Operator(Kind.DEPTHWISE, of.convolution()), "CausalConvWithState"),
    (_TRANSPOSED, "ConvTranspose"),
    (_PRODUCT, "Gemm MatMul MatMulInteger"),
    (Operator(Kind.LINEAR, of.product(right=3)), "QLinearMatMul"),
    (Operator(Kind.MATMUL, of.einsum), "Einsum"),
    (Operator(Kind.RECURRENT, of.recurrent(4, (1, 2))), "LSTM"),
    (Operator(Kind.RECURRENT, of.recurrent(3, (1, 2))), "GRU"),
    (Operator(Kind.RECURRENT, of.recurrent(1, (1, 2))), "RNN"),
    (_ATTENTION, "Attention LinearAttention"),
    (
        UNKNOWN,
        (
            "If Loop Scan SequenceMap StringConcat StringNormalizer StringSplit RegexFullMatch "
            "TfIdfVectorizer"
        ),
    ),
)

_MICROSOFT = _entries(
    (_VIEW, "ExpandDims"),
    (
        _SMOOTH,
        (
            "Gelu BiasGelu FastGelu QuickGelu BiasSplitGelu QLinearSigmoid QOrderedGelu "
            "ScaledSiLU SwiGLU RotaryEmbedding GemmaRotaryEmbedding MRotaryEmbedding "
            "LinearAttentionGate EngramGate"
        ),
    ),
    (_ACTIVATION, "QLinearLeakyRelu"),
    (
        _ELEMENTWISE,
        (
            "QLinearWhere Range Trilu BiasDropout BitmaskDropout BitmaskBiasDropout GatedAdd "
            "IsAllFinite MulInteger ComplexMul ComplexMulConj"
        ),
    ),
    (_ADD, "QLinearAdd BiasAdd"),
    (_MULTIPLY, "QLinearMul"),
    (_SOFTMAX, "QLinearSoftmax BiasSoftmax"),
    (
        _NORM,
        (
            "SkipLayerNormalization SkipSimplifiedLayerNormalization LayerNormalization "
            "SimplifiedLayerNormalization GroupNorm SkipGroupNorm GatedRMSNorm BranchwiseRMSNorm "
            "QOrderedLayerNormalization RMSNormRotary"
        ),
    ),
    (_MAX_POOL, "MaxpoolWithMask NhwcMaxPool"),
    (_AVG_POOL, "QLinearAveragePool"),
    (_REDUCE, "QLinearGlobalAveragePool QLinearReduceMean ReduceSumInteger CDist"),
    (_RESIZE, "GridSample CropAndResize"),
    (_MOVE, "QLinearConcat Pad RemovePadding RestorePadding UnfoldTensor"),
    (
        _GATHER,
        (
            "GatherND GatherBlockQuantized GatherPacked TorchEmbedding EmbedLayerNormalization "
            "QEmbedLayerNormalization"
        ),
    ),
    (
        _QUANTIZE,
        (
            "QuantizeLinear DequantizeLinear QuantizeBFP DequantizeBFP QuantizeWithOrder "
            "DequantizeWithOrder"
        ),
    ),
    (_SORT, "Unique"),
    (_TRANSFORM, "Rfft Irfft"),
    (_CONV, "FusedConv NhwcConv NhwcFusedConv"),
    (_TRANSPOSED, "ConvTransposeWithDynamicPads"),
    (
        _PRODUCT,
        (
            "FusedGemm FusedMatMul FusedMatMulActivation TransposeMatMul GemmFastGelu GemmFloat8 "
            "DynamicQuantizeMatMul MatMulIntegerToFloat MatMulInteger16 SparseToDenseMatMul"
        ),
    ),
    (Operator(Kind.LINEAR, of.product(right=3)), "QGemm QOrderedMatMul"),
    (
        Operator(Kind.LINEAR, of.block_quantized_product),
        (
            "MatMulNBits MatMulBnb4 MatMulFpQ4 MatMulNBitsQLoRA MatMulBlockQuantizedFp4Weight "
            "MatMulBlockQuantizedFp8Weight"
        ),
    ),
    (Operator(Kind.RECURRENT, of.recurrent(4, (1, 2))), "DynamicQuantizeLSTM AttnLSTM"),
    (_ATTENTION, "MultiHeadAttention GroupQueryAttention DecoderMaskedMultiHeadAttention"),
    (
        Operator(Kind.MATMUL, of.packed_attention),
        "Attention QAttention PackedAttention DecoderMaskedSelfAttention",
    ),
)

_INTERNAL = ("com.ms.internal.nhwc", "com.microsoft.nchwc")
"""Domains in which ONNX Runtime writes models that it has optimized."""

ONNX: Mapping[str, Operator] = {
    **_STANDARD,
    **_in_domain("com.microsoft", _MICROSOFT),
    **{key: entry for domain in _INTERNAL for key, entry in _in_domain(domain, _STANDARD).items()},
    **_in_domain("com.ms.internal.nhwc", _entries((_AVG_POOL, "QLinearAveragePool"))),
    **_in_domain("com.microsoft.nchwc", _entries((_MOVE, "ReorderInput ReorderOutput"))),
    **_in_domain(
        "com.ms.internal.nhwc",
        _entries(
            (
                Operator(Kind.TRANSPOSED_CONV, of.convolution(weights=3, transposed=True)),
                "QLinearConvTranspose",
            ),
        ),
    ),
}

TFLITE: Mapping[str, Operator] = _entries(
    (
        _VIEW,
        (
            "RESHAPE SQUEEZE EXPAND_DIMS SHAPE RANK BITCAST STABLEHLO_RESHAPE CALL_ONCE "
            "VAR_HANDLE HASHTABLE HASHTABLE_IMPORT"
        ),
    ),
    (
        _ACTIVATION,
        "RELU RELU_N1_TO_1 RELU_0_TO_1 RELU6 LEAKY_RELU PRELU HARD_SWISH STABLEHLO_CLAMP",
    ),
    (
        _SMOOTH,
        (
            "LOGISTIC TANH ELU EXP LOG SIN COS POW GELU ATAN2 STABLEHLO_LOGISTIC STABLEHLO_TANH "
            "STABLEHLO_EXPONENTIAL STABLEHLO_LOG STABLEHLO_COSINE STABLEHLO_POWER STABLEHLO_CBRT"
        ),
    ),
    (
        _ELEMENTWISE,
        (
            "SUB DIV MAXIMUM MINIMUM NEG ABS SQRT RSQRT SQUARE SQUARED_DIFFERENCE FLOOR CEIL "
            "ROUND SIGN FLOOR_DIV FLOOR_MOD LESS GREATER GREATER_EQUAL LESS_EQUAL EQUAL NOT_EQUAL "
            "SELECT SELECT_V2 LOGICAL_OR LOGICAL_AND LOGICAL_NOT BITWISE_XOR RIGHT_SHIFT "
            "ZEROS_LIKE FILL RANGE RANDOM_STANDARD_NORMAL RANDOM_UNIFORM MULTINOMIAL BUCKETIZE "
            "IMAG REAL COMPLEX_ABS BROADCAST_ARGS MATRIX_DIAG MATRIX_SET_DIAG STABLEHLO_DIVIDE "
            "STABLEHLO_MAXIMUM STABLEHLO_ABS STABLEHLO_AND STABLEHLO_FLOOR STABLEHLO_MINIMUM "
            "STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT "
            "STABLEHLO_SUBTRACT STABLEHLO_COMPARE STABLEHLO_IOTA STABLEHLO_RNG_BIT_GENERATOR "
            "STABLEHLO_SHIFT_LEFT"
        ),
    ),
    (_ADD, "ADD ADD_N STABLEHLO_ADD"),
    (_MULTIPLY, "MUL STABLEHLO_MULTIPLY"),
    (_SOFTMAX, "SOFTMAX LOG_SOFTMAX"),
    (_NORM, "L2_NORMALIZATION LOCAL_RESPONSE_NORMALIZATION"),
    (_MAX_POOL, "MAX_POOL_2D"),
    (_AVG_POOL, "AVERAGE_POOL_2D L2_POOL_2D"),
    (
        _REDUCE,
        (
            "MEAN SUM REDUCE_PROD REDUCE_MAX REDUCE_MIN REDUCE_ANY REDUCE_ALL ARG_MAX ARG_MIN "
            "CUMSUM SEGMENT_SUM UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM "
            "UNSORTED_SEGMENT_MIN REDUCE_WINDOW STABLEHLO_REDUCE STABLEHLO_REDUCE_WINDOW"
        ),
    ),
    (_RESIZE, "RESIZE_BILINEAR"),
    (Operator(Kind.RESIZE), "RESIZE_NEAREST_NEIGHBOR"),
    (
        _MOVE,
        (
            "CONCATENATION TRANSPOSE PAD PADV2 MIRROR_PAD TILE PACK DEPTH_TO_SPACE SPACE_TO_DEPTH "
            "BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND REVERSE_V2 REVERSE_SEQUENCE BROADCAST_TO DILATE "
            "DYNAMIC_UPDATE_SLICE READ_VARIABLE ASSIGN_VARIABLE STABLEHLO_CONCATENATE "
            "STABLEHLO_BROADCAST_IN_DIM STABLEHLO_PAD STABLEHLO_TRANSPOSE "
            "STABLEHLO_DYNAMIC_UPDATE_SLICE"
        ),
    ),
    (
        _SLICE,
        "SLICE STRIDED_SLICE SPLIT SPLIT_V UNPACK STABLEHLO_SLICE STABLEHLO_DYNAMIC_SLICE",
    ),
    (
        _GATHER,
        (
            "GATHER GATHER_ND EMBEDDING_LOOKUP EMBEDDING_LOOKUP_SPARSE HASHTABLE_LOOKUP ONE_HOT "
            "STABLEHLO_GATHER"
        ),
    ),
    (_SCATTER, "SCATTER_ND SPARSE_TO_DENSE STABLEHLO_SCATTER DENSIFY"),
    (_QUANTIZE, "QUANTIZE DEQUANTIZE CAST FAKE_QUANT STABLEHLO_CONVERT"),
    (
        _SORT,
        (
            "TOPK_V2 UNIQUE WHERE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 STABLEHLO_SORT "
            "custom::TFLite_Detection_PostProcess"
        ),
    ),
    (_TRANSFORM, "RFFT2D"),
    (_CONV, "CONV_2D CONV_3D"),
    (Operator(Kind.DEPTHWISE, of.convolution()), "DEPTHWISE_CONV_2D"),
    (
        Operator(Kind.TRANSPOSED_CONV, of.convolution(data=2, transposed=True)),
        "TRANSPOSE_CONV CONV_3D_TRANSPOSE",
    ),
    (
        Operator(Kind.TRANSPOSED_CONV, of.convolution(transposed=True)),
        "custom::Convolution2DTransposeBias",
    ),
    (Operator(Kind.LINEAR, of.product(transposed=True)), "FULLY_CONNECTED"),
    (_PRODUCT, "BATCH_MATMUL STABLEHLO_DOT_GENERAL"),
    (
        Operator(Kind.RECURRENT, of.recurrent(4, (*range(1, 9), 16))),
        "LSTM UNIDIRECTIONAL_SEQUENCE_LSTM",
    ),
    (
        Operator(Kind.RECURRENT, of.recurrent(4, (*range(1, 9), 16, *range(18, 26), 33))),
        "BIDIRECTIONAL_SEQUENCE_LSTM",
    ),
    (Operator(Kind.RECURRENT, of.recurrent(1, (1, 2))), "RNN UNIDIRECTIONAL_SEQUENCE_RNN SVDF"),
    (
        Operator(Kind.RECURRENT, of.recurrent(1, (1, 2, 5, 6))),
        "BIDIRECTIONAL_SEQUENCE_RNN",
    ),
    (
        UNKNOWN,
        (
            "CUSTOM DELEGATE CALL IF WHILE LSH_PROJECTION CONCAT_EMBEDDINGS SKIP_GRAM "
            "HASHTABLE_FIND HASHTABLE_SIZE STABLEHLO_CONVOLUTION "
            "STABLEHLO_CUSTOM_CALL STABLEHLO_WHILE STABLEHLO_COMPOSITE STABLEHLO_CASE "
            "PLACEHOLDER_FOR_GREATER_OP_CODES"
        ),
    ),
)


def find(operator: str, is_tflite: bool) -> Operator:
    """Return an operator's entry, ``UNKNOWN`` of one that no table has."""
    return (TFLITE if is_tflite else ONNX).get(operator, UNKNOWN)
