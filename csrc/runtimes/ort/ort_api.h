// The part of ONNX Runtime's C API that is used here, as typed slots.
//
// The API is one table of function pointers that upstream only ever appends to (it asserts the
// offsets in its own build), so a slot's number is its contract. With this table no header of the
// runtime is needed to build; tests/check_ort_api.cpp compares it with the official header wherever
// one is installed. Names are upstream's, so that they can be searched for. All functions exist
// since API version 12 (ONNX Runtime 1.12).
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgeprof::ort {

constexpr std::uint32_t kApiVersion = 12;

// Opaque types of the runtime.
struct Status;
struct Env;
struct Session;
struct SessionOptions;
struct RunOptions;
struct Value;
struct MemoryInfo;
struct IoBinding;
struct Allocator;
struct TypeInfo;
struct TensorInfo;
struct CudaOptions;
struct TensorRtOptions;

// Enumerations cross the boundary as int, as C enums do.
constexpr int kOk = 0;
constexpr int kLogFatal = 4;
constexpr int kTypeTensor = 1;
constexpr int kArenaAllocator = 1;
constexpr int kMemoryDefault = 0;
constexpr int kOptimizeNothing = 0;
constexpr int kOptimizeBasic = 1;
constexpr int kOptimizeExtended = 2;
constexpr int kOptimizeAll = 99;

enum ErrorCode : int {
    kFail = 1,
    kInvalidArgument = 2,
    kNoSuchFile = 3,
    kNoModel = 4,
    kEngineError = 5,
    kRuntimeException = 6,
    kInvalidProtobuf = 7,
    kModelLoaded = 8,
    kNotImplemented = 9,
    kInvalidGraph = 10,
    kExecutionProviderFail = 11,
};

enum ElementType : int {
    kUndefined = 0,
    kFloat32 = 1,
    kUint8 = 2,
    kInt8 = 3,
    kUint16 = 4,
    kInt16 = 5,
    kInt32 = 6,
    kInt64 = 7,
    kString = 8,
    kBool = 9,
    kFloat16 = 10,
    kFloat64 = 11,
    kUint32 = 12,
    kUint64 = 13,
    kBfloat16 = 16,
};

// name(slot, parameters ...): functions that return a Status* (nullptr = done).
#define EDGEPROF_ORT_STATUS_FUNCTIONS(F)                                                       \
    F(CreateEnv, 3, int severity, const char* log_id, Env** out)                               \
    F(CreateSession, 7, const Env*, const char* path, const SessionOptions*, Session** out)    \
    F(CreateSessionOptions, 10, SessionOptions** out)                                          \
    F(EnableProfiling, 14, SessionOptions*, const char* file_prefix)                           \
    F(EnableMemPattern, 16, SessionOptions*)                                                   \
    F(DisableMemPattern, 17, SessionOptions*)                                                  \
    F(EnableCpuMemArena, 18, SessionOptions*)                                                  \
    F(DisableCpuMemArena, 19, SessionOptions*)                                                 \
    F(SetSessionLogSeverityLevel, 22, SessionOptions*, int severity)                           \
    F(SetSessionGraphOptimizationLevel, 23, SessionOptions*, int level)                        \
    F(SetIntraOpNumThreads, 24, SessionOptions*, int n)                                        \
    F(SetInterOpNumThreads, 25, SessionOptions*, int n)                                        \
    F(RegisterCustomOpsLibrary, 29, SessionOptions*, const char* path, void** handle)          \
    F(SessionGetInputCount, 30, const Session*, std::size_t* out)                              \
    F(SessionGetOutputCount, 31, const Session*, std::size_t* out)                             \
    F(SessionGetInputTypeInfo, 33, const Session*, std::size_t index, TypeInfo** out)          \
    F(SessionGetOutputTypeInfo, 34, const Session*, std::size_t index, TypeInfo** out)         \
    F(SessionGetInputName, 36, const Session*, std::size_t index, Allocator*, char** out)      \
    F(SessionGetOutputName, 37, const Session*, std::size_t index, Allocator*, char** out)     \
    F(CreateRunOptions, 39, RunOptions** out)                                                  \
    F(CreateTensorAsOrtValue, 48, Allocator*, const std::int64_t* shape, std::size_t rank,     \
      int element_type, Value** out)                                                           \
    F(CreateTensorWithDataAsOrtValue, 49, const MemoryInfo*, void* data, std::size_t n_bytes,  \
      const std::int64_t* shape, std::size_t rank, int element_type, Value** out)              \
    F(GetTensorMutableData, 51, Value*, void** out)                                            \
    F(FillStringTensor, 52, Value*, const char* const* texts, std::size_t n)                   \
    F(CastTypeInfoToTensorInfo, 55, const TypeInfo*, const TensorInfo** out)                   \
    F(GetOnnxTypeFromTypeInfo, 56, const TypeInfo*, int* out)                                  \
    F(GetTensorElementType, 60, const TensorInfo*, int* out)                                   \
    F(GetDimensionsCount, 61, const TensorInfo*, std::size_t* out)                             \
    F(GetDimensions, 62, const TensorInfo*, std::int64_t* out, std::size_t rank)               \
    F(GetSymbolicDimensions, 63, const TensorInfo*, const char** out, std::size_t rank)        \
    F(GetTensorShapeElementCount, 64, const TensorInfo*, std::size_t* out)                     \
    F(GetTensorTypeAndShape, 65, const Value*, TensorInfo** out)                               \
    F(CreateMemoryInfo, 68, const char* name, int allocator, int device, int memory,           \
      MemoryInfo** out)                                                                        \
    F(AllocatorFree, 76, Allocator*, void* memory)                                             \
    F(GetAllocatorWithDefaultOptions, 78, Allocator** out)                                     \
    F(SessionEndProfiling, 110, Session*, Allocator*, char** file_name)                        \
    F(GetAvailableProviders, 125, char*** names, int* n)                                       \
    F(ReleaseAvailableProviders, 126, char** names, int n)                                     \
    F(AddSessionConfigEntry, 130, SessionOptions*, const char* key, const char* value)         \
    F(CreateAllocator, 131, const Session*, const MemoryInfo*, Allocator** out)                \
    F(RunWithBinding, 133, Session*, const RunOptions*, const IoBinding*)                      \
    F(CreateIoBinding, 134, Session*, IoBinding** out)                                         \
    F(BindInput, 136, IoBinding*, const char* name, const Value*)                              \
    F(BindOutput, 137, IoBinding*, const char* name, const Value*)                             \
    F(BindOutputToDevice, 138, IoBinding*, const char* name, const MemoryInfo*)                \
    F(GetBoundOutputValues, 140, const IoBinding*, Allocator*, Value*** out, std::size_t* n)   \
    F(SessionOptionsAppendExecutionProvider_TensorRT_V2, 170, SessionOptions*,                 \
      const TensorRtOptions*)                                                                  \
    F(CreateTensorRTProviderOptions, 171, TensorRtOptions** out)                               \
    F(UpdateTensorRTProviderOptions, 172, TensorRtOptions*, const char* const* keys,           \
      const char* const* values, std::size_t n)                                                \
    F(SynchronizeBoundInputs, 202, IoBinding*)                                                 \
    F(SynchronizeBoundOutputs, 203, IoBinding*)                                                \
    F(SessionOptionsAppendExecutionProvider_CUDA_V2, 204, SessionOptions*, const CudaOptions*) \
    F(CreateCUDAProviderOptions, 205, CudaOptions** out)                                       \
    F(UpdateCUDAProviderOptions, 206, CudaOptions*, const char* const* keys,                   \
      const char* const* values, std::size_t n)                                                \
    F(SessionOptionsAppendExecutionProvider, 216, SessionOptions*, const char* name,           \
      const char* const* keys, const char* const* values, std::size_t n)

// name(slot, type): functions that give an object back.
#define EDGEPROF_ORT_RELEASE_FUNCTIONS(F)                   \
    F(ReleaseEnv, 92, Env)                                  \
    F(ReleaseStatus, 93, Status)                            \
    F(ReleaseMemoryInfo, 94, MemoryInfo)                    \
    F(ReleaseSession, 95, Session)                          \
    F(ReleaseValue, 96, Value)                              \
    F(ReleaseRunOptions, 97, RunOptions)                    \
    F(ReleaseTypeInfo, 98, TypeInfo)                        \
    F(ReleaseTensorTypeAndShapeInfo, 99, TensorInfo)        \
    F(ReleaseSessionOptions, 100, SessionOptions)           \
    F(ReleaseAllocator, 132, Allocator)                     \
    F(ReleaseIoBinding, 135, IoBinding)                     \
    F(ReleaseTensorRTProviderOptions, 174, TensorRtOptions) \
    F(ReleaseCUDAProviderOptions, 208, CudaOptions)

constexpr std::size_t kSlotGetErrorCode = 1;
constexpr std::size_t kSlotGetErrorMessage = 2;

// OrtApiBase: two functions.
struct ApiBase {
    const void* const* (*GetApi)(std::uint32_t version);
    const char* (*GetVersionString)();
};

// The slots, copied out of the runtime's table once.
class Api {
  public:
    explicit Api(const void* const* table)
        : GetErrorCode(slot<int (*)(const Status*)>(table, kSlotGetErrorCode)),
          GetErrorMessage(slot<const char* (*)(const Status*)>(table, kSlotGetErrorMessage))
#define EDGEPROF_INITIALIZE(name, index, ...) , name(slot<Status* (*)(__VA_ARGS__)>(table, index))
              EDGEPROF_ORT_STATUS_FUNCTIONS(EDGEPROF_INITIALIZE)
#undef EDGEPROF_INITIALIZE
#define EDGEPROF_INITIALIZE(name, index, type) , name(slot<void (*)(type*)>(table, index))
                  EDGEPROF_ORT_RELEASE_FUNCTIONS(EDGEPROF_INITIALIZE)
#undef EDGEPROF_INITIALIZE
    {
    }

    int (*GetErrorCode)(const Status*);
    const char* (*GetErrorMessage)(const Status*);
#define EDGEPROF_DECLARE(name, index, ...) Status* (*name)(__VA_ARGS__);
    EDGEPROF_ORT_STATUS_FUNCTIONS(EDGEPROF_DECLARE)
#undef EDGEPROF_DECLARE
#define EDGEPROF_DECLARE(name, index, type) void (*name)(type*);
    EDGEPROF_ORT_RELEASE_FUNCTIONS(EDGEPROF_DECLARE)
#undef EDGEPROF_DECLARE

  private:
    template <class Function>
    static Function slot(const void* const* table, std::size_t index) {
        return reinterpret_cast<Function>(const_cast<void*>(table[index]));
    }
};

}  // namespace edgeprof::ort
