// Compares our table of ONNX Runtime's API with the official header, at compile time: a wrong slot
// would call another function. Built where CMake finds onnxruntime_c_api.h (Debian:
// libonnxruntime-dev; or -DEDGEPROF_ORT_INCLUDE_DIR=...).
#include <onnxruntime_c_api.h>

#include <cstddef>

#include "runtimes/ort/ort_api.h"

namespace ort = edgeprof::ort;

namespace {

template <class Result, class... Parameters>
constexpr std::size_t n_parameters(Result (*)(Parameters...)) {
    return sizeof...(Parameters);
}

template <class Result, class... Parameters>
constexpr std::size_t n_parameters(Result (*)(Parameters...) noexcept) {
    return sizeof...(Parameters);
}

}  // namespace

#define CHECK_SLOT(name, index, ...)                                                          \
    static_assert(offsetof(OrtApi, name) == (index) * sizeof(void*), #name ": another slot"); \
    static_assert(                                                                            \
        n_parameters(decltype(OrtApi::name){}) == n_parameters(decltype(ort::Api::name){}),   \
        #name ": other parameters");
EDGEPROF_ORT_STATUS_FUNCTIONS(CHECK_SLOT)
EDGEPROF_ORT_RELEASE_FUNCTIONS(CHECK_SLOT)
CHECK_SLOT(GetErrorCode, ort::kSlotGetErrorCode)
CHECK_SLOT(GetErrorMessage, ort::kSlotGetErrorMessage)

static_assert(offsetof(OrtApiBase, GetApi) == offsetof(ort::ApiBase, GetApi), "OrtApiBase");
static_assert(offsetof(OrtApiBase, GetVersionString) == offsetof(ort::ApiBase, GetVersionString),
              "OrtApiBase");
static_assert(ORT_API_VERSION >= ort::kApiVersion, "a header older than the functions used");

#define CHECK_VALUE(ours, official) \
    static_assert(static_cast<int>(ours) == static_cast<int>(official), #official)
CHECK_VALUE(ort::kOk, ORT_OK);
CHECK_VALUE(ort::kLogFatal, ORT_LOGGING_LEVEL_FATAL);
CHECK_VALUE(ort::kTypeTensor, ONNX_TYPE_TENSOR);
CHECK_VALUE(ort::kArenaAllocator, OrtArenaAllocator);
CHECK_VALUE(ort::kMemoryDefault, OrtMemTypeDefault);
CHECK_VALUE(ort::kOptimizeNothing, ORT_DISABLE_ALL);
CHECK_VALUE(ort::kOptimizeBasic, ORT_ENABLE_BASIC);
CHECK_VALUE(ort::kOptimizeExtended, ORT_ENABLE_EXTENDED);
CHECK_VALUE(ort::kOptimizeAll, ORT_ENABLE_ALL);
CHECK_VALUE(ort::kFail, ORT_FAIL);
CHECK_VALUE(ort::kInvalidArgument, ORT_INVALID_ARGUMENT);
CHECK_VALUE(ort::kNoSuchFile, ORT_NO_SUCHFILE);
CHECK_VALUE(ort::kNoModel, ORT_NO_MODEL);
CHECK_VALUE(ort::kEngineError, ORT_ENGINE_ERROR);
CHECK_VALUE(ort::kRuntimeException, ORT_RUNTIME_EXCEPTION);
CHECK_VALUE(ort::kInvalidProtobuf, ORT_INVALID_PROTOBUF);
CHECK_VALUE(ort::kModelLoaded, ORT_MODEL_LOADED);
CHECK_VALUE(ort::kNotImplemented, ORT_NOT_IMPLEMENTED);
CHECK_VALUE(ort::kInvalidGraph, ORT_INVALID_GRAPH);
CHECK_VALUE(ort::kExecutionProviderFail, ORT_EP_FAIL);
CHECK_VALUE(ort::kFloat32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
CHECK_VALUE(ort::kUint8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8);
CHECK_VALUE(ort::kInt8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8);
CHECK_VALUE(ort::kUint16, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16);
CHECK_VALUE(ort::kInt16, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16);
CHECK_VALUE(ort::kInt32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
CHECK_VALUE(ort::kInt64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
CHECK_VALUE(ort::kString, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
CHECK_VALUE(ort::kBool, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL);
CHECK_VALUE(ort::kFloat16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16);
CHECK_VALUE(ort::kFloat64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE);
CHECK_VALUE(ort::kUint32, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32);
CHECK_VALUE(ort::kUint64, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64);
CHECK_VALUE(ort::kBfloat16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16);
