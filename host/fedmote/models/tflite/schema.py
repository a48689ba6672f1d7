"""The numbers of the .tflite schema as tables: types, operators and their options."""

from dataclasses import dataclass, field

OptionValue = int | float | bool | str | tuple[int, ...]

IDENTIFIER = b"TFL3"
VERSION = 3

#: Alignment of the content of constants, bytes: it is used in place.
CONTENT_ALIGNMENT = 16

#: Most dimensions that a tensor may have.
DIMENSIONS = 8

_TENSOR_TYPES = """
    FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE
    VARIANT UINT32 UINT16 INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2
"""

#: Names of tensor types, by number.
TENSOR_TYPES = tuple(_TENSOR_TYPES.split())

#: tensor type -> bits of a value, for the types whose content has a fixed size
BITS = {
    **dict.fromkeys(("INT2",), 2),
    **dict.fromkeys(("INT4", "UINT4"), 4),
    **dict.fromkeys(("INT8", "UINT8", "BOOL", "FLOAT8_E4M3FN", "FLOAT8_E5M2"), 8),
    **dict.fromkeys(("INT16", "UINT16", "FLOAT16", "BFLOAT16"), 16),
    **dict.fromkeys(("INT32", "UINT32", "FLOAT32"), 32),
    **dict.fromkeys(("INT64", "UINT64", "FLOAT64", "COMPLEX64"), 64),
    **dict.fromkeys(("COMPLEX128",), 128),
}

_OPERATOR_NAMES = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP
    FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION
    LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN
    SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX
    DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER
    GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL
    NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR
    ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL
    FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE
    CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE
    MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND
    SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE
    BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT
    HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
    RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
    UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN
    BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY
    STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
    STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
    STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM
    STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT
    STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA
    STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER
    STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
    STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""

#: Names of the builtin operators, by number.
OPERATOR_NAMES = tuple(_OPERATOR_NAMES.split())

CUSTOM = OPERATOR_NAMES.index("CUSTOM")

#: The old 8-bit field of an operator's number holds at most this; greater numbers have a field of their own.
OLD_CODE_LIMIT = OPERATOR_NAMES.index("PLACEHOLDER_FOR_GREATER_OP_CODES")

INT, BOOL, FLOAT, ENUM = "i", "?", "f", "b"  # one value: its struct format
INTS, TEXT, SUBGRAPH = "ints", "text", "subgraph"  # vector of int32, string, number of a subgraph (int32)


@dataclass(frozen=True, slots=True)
class Option:
    """A field of an options table. names: those of an ENUM's values. default: what a file may leave out."""

    name: str
    field: int
    kind: str
    default: OptionValue
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OperatorSchema:
    """An operator whose options are known. options_type: number in the union of options, 0 for none."""

    name: str
    options_type: int = 0
    options: tuple[Option, ...] = ()
    number: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", OPERATOR_NAMES.index(self.name))


_ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
_PADDINGS = ("SAME", "VALID")


def _activation(at: int) -> Option:
    return Option("fused_activation_function", at, ENUM, "NONE", _ACTIVATIONS)


def _padding(at: int) -> Option:
    return Option("padding", at, ENUM, "SAME", _PADDINGS)


def _bias_type(at: int) -> Option:
    return Option("quantized_bias_type", at, ENUM, "FLOAT32", TENSOR_TYPES)


def _flag(name: str, at: int, default: bool = False) -> Option:
    return Option(name, at, BOOL, default)


def _number(name: str, at: int, default: int = 0) -> Option:
    return Option(name, at, INT, default)


def _real(name: str, at: int) -> Option:
    return Option(name, at, FLOAT, 0.0)


_STRIDES = (_padding(0), _number("stride_w", 1), _number("stride_h", 2))
_POOL = (*_STRIDES, _number("filter_width", 3), _number("filter_height", 4), _activation(5))
_REDUCER = (_flag("keep_dims", 0),)

_SCHEMAS = (
    OperatorSchema("ADD", 11, (_activation(0), _flag("pot_scale_int16", 1, True))),
    OperatorSchema("AVERAGE_POOL_2D", 5, _POOL),
    OperatorSchema("CONCATENATION", 10, (_number("axis", 0), _activation(1))),
    OperatorSchema(
        "CONV_2D",
        1,
        (
            *_STRIDES,
            _activation(3),
            _number("dilation_w_factor", 4, 1),
            _number("dilation_h_factor", 5, 1),
            _bias_type(6),
        ),
    ),
    OperatorSchema(
        "DEPTHWISE_CONV_2D",
        2,
        (
            *_STRIDES,
            _number("depth_multiplier", 3),
            _activation(4),
            _number("dilation_w_factor", 5, 1),
            _number("dilation_h_factor", 6, 1),
        ),
    ),
    OperatorSchema("DEQUANTIZE", 38),
    OperatorSchema(
        "FULLY_CONNECTED",
        8,
        (
            _activation(0),
            Option("weights_format", 1, ENUM, "DEFAULT", ("DEFAULT", "SHUFFLED4x16INT8")),
            _flag("keep_num_dims", 2),
            _flag("asymmetric_quantize_inputs", 3),
            _bias_type(4),
        ),
    ),
    OperatorSchema("LOGISTIC"),
    OperatorSchema("MAX_POOL_2D", 5, _POOL),
    OperatorSchema("MUL", 21, (_activation(0),)),
    OperatorSchema("RELU"),
    OperatorSchema("RELU6"),
    OperatorSchema("RESHAPE", 17, (Option("new_shape", 0, INTS, ()),)),
    OperatorSchema("SOFTMAX", 9, (_real("beta", 0),)),
    OperatorSchema("SVDF", 6, (_number("rank", 0), _activation(1), _flag("asymmetric_quantize_inputs", 2))),
    OperatorSchema("TANH"),
    OperatorSchema("PAD", 22),
    OperatorSchema("TRANSPOSE", 26),
    OperatorSchema("MEAN", 27, _REDUCER),
    OperatorSchema("SUB", 28, (_activation(0), _flag("pot_scale_int16", 1, True))),
    OperatorSchema("SQUEEZE", 30, (Option("squeeze_dims", 0, INTS, ()),)),
    OperatorSchema(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        71,
        (
            _activation(0),
            _real("cell_clip", 1),
            _real("proj_clip", 2),
            _flag("time_major", 3),
            _flag("asymmetric_quantize_inputs", 4),
            _flag("diagonal_recurrent_tensors", 5),
        ),
    ),
    OperatorSchema(
        "STRIDED_SLICE",
        32,
        (
            _number("begin_mask", 0),
            _number("end_mask", 1),
            _number("ellipsis_mask", 2),
            _number("new_axis_mask", 3),
            _number("shrink_axis_mask", 4),
            _flag("offset", 5),
        ),
    ),
    OperatorSchema("SPLIT", 35, (_number("num_splits", 0),)),
    OperatorSchema("EXPAND_DIMS", 52),
    OperatorSchema(
        "RESIZE_NEAREST_NEIGHBOR", 74, (_flag("align_corners", 0), _flag("half_pixel_centers", 1))
    ),
    OperatorSchema("LEAKY_RELU", 75, (_real("alpha", 0),)),
    OperatorSchema("SPLIT_V", 79, (_number("num_splits", 0),)),
    OperatorSchema("QUANTIZE", 89),
    OperatorSchema("CALL_ONCE", 103, (Option("init_subgraph_index", 0, SUBGRAPH, 0),)),
    OperatorSchema("VAR_HANDLE", 111, (Option("container", 0, TEXT, ""), Option("shared_name", 1, TEXT, ""))),
    OperatorSchema("READ_VARIABLE", 112),
    OperatorSchema("ASSIGN_VARIABLE", 113),
)

#: name -> schema, for every operator whose options are known
OPERATORS = {schema.name: schema for schema in _SCHEMAS}
