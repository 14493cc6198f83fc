// The C API of LiteRT (ai-edge-litert's libLiteRt.so), as far as it is used here.
//
// The API has no header in the wheels and drifts from release to release; what is needed is found
// symbol by symbol. Known drift, releases 2.1.0 to 2.3.0:
//   - LiteRtCreateModelFromFile takes the environment first from 2.1.6 on, the release in which
//     LiteRtCreateModelFromFd appears;
//   - CPU options are set by LiteRtSetCpuOptionsNumThread up to 2.1.2, later by a TOML text under
//     the identifier "xnnpack";
//   - LiteRtGetStatusString is gone in 2.1.6;
//   - the profiler is switched on by a TOML text as well: not up to 2.1.2.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtimes/library.h"
#include "runtimes/litert/litert_profile.h"

namespace edgeprof::litert {

using Status = int;
constexpr Status kOk = 0;
constexpr Status kNotFound = 6;
constexpr Status kFileIo = 500;
constexpr Status kInvalidFlatbuffer = 501;

constexpr int kCpu = 1;                       // LiteRtHwAccelerators
constexpr int kLockRead = 0, kLockWrite = 1;  // LiteRtTensorBufferLockMode

struct EnvironmentT;
struct ModelT;
struct OptionsT;
struct OpaqueOptionsT;
struct CpuOptionsT;
struct CompiledModelT;
struct SignatureT;
struct TensorT;
struct RequirementsT;
struct BufferT;
struct ProfilerT;

// LiteRtLayout. The first word holds the rank in the low 7 bits and a flag above.
struct Layout {
    std::uint32_t rank_and_flag;
    std::int32_t dimensions[8];
    std::uint32_t strides[8];

    std::size_t rank() const { return rank_and_flag & 0x7fU; }
    bool is_dynamic() const {
        return std::any_of(dimensions, dimensions + rank(), [](std::int32_t n) { return n < 0; });
    }
};

// LiteRtRankedTensorType.
struct TensorType {
    std::int32_t element_type;
    Layout layout;
};
static_assert(sizeof(TensorType) == 72, "LiteRtRankedTensorType has 72 bytes");

struct Api {
    explicit Api(const Library& library);

    bool model_takes_environment;
    const char* (*status_string)(Status);  // may be missing
    Status (*create_environment)(int, const void*, EnvironmentT**);
    void (*destroy_environment)(EnvironmentT*);
    void* create_model_from_file;  // see load_model
    void (*destroy_model)(ModelT*);
    Status (*create_options)(OptionsT**);
    void (*destroy_options)(OptionsT*);
    Status (*set_accelerators)(OptionsT*, int);
    Status (*add_opaque_options)(OptionsT*, OpaqueOptionsT*);
    Status (*create_opaque_options)(const char*, void*, void (*)(void*), OpaqueOptionsT**);
    Status (*create_cpu_options)(OpaqueOptionsT**);              // up to 2.1.2
    Status (*find_cpu_options)(OpaqueOptionsT*, CpuOptionsT**);  // up to 2.1.2
    Status (*set_cpu_threads)(CpuOptionsT*, int);                // up to 2.1.2
    Status (*create_compiled_model)(EnvironmentT*, ModelT*, OptionsT*, CompiledModelT**);
    void (*destroy_compiled_model)(CompiledModelT*);
    Status (*is_fully_accelerated)(CompiledModelT*, bool*);  // may be missing
    Status (*resize_input)(CompiledModelT*, std::size_t, std::size_t, const int*, std::size_t);
    // Takes another rank too; may be missing.
    Status (*resize_freely)(CompiledModelT*, std::size_t, std::size_t, const int*, std::size_t);
    Status (*output_layouts)(CompiledModelT*, std::size_t, std::size_t, Layout*, bool);
    Status (*get_signature)(ModelT*, std::size_t, SignatureT**);
    Status (*count_inputs)(SignatureT*, std::size_t*);
    Status (*count_outputs)(SignatureT*, std::size_t*);
    Status (*input_name)(SignatureT*, std::size_t, const char**);
    Status (*output_name)(SignatureT*, std::size_t, const char**);
    Status (*input_tensor)(SignatureT*, std::size_t, TensorT**);
    Status (*output_tensor)(SignatureT*, std::size_t, TensorT**);
    Status (*tensor_type)(TensorT*, TensorType*);
    Status (*input_requirements)(CompiledModelT*, std::size_t, std::size_t, RequirementsT**);
    Status (*output_requirements)(CompiledModelT*, std::size_t, std::size_t, RequirementsT**);
    Status (*create_buffer)(EnvironmentT*, const TensorType*, RequirementsT*, BufferT**);
    void (*destroy_buffer)(BufferT*);
    Status (*buffer_bytes)(BufferT*, std::size_t*);
    Status (*lock_buffer)(BufferT*, void**, int);
    Status (*unlock_buffer)(BufferT*);
    Status (*get_profiler)(CompiledModelT*, ProfilerT**);  // these may be missing
    Status (*start_profiler)(ProfilerT*);
    Status (*stop_profiler)(ProfilerT*);
    Status (*count_events)(ProfilerT*, int*);
    Status (*get_events)(ProfilerT*, int, LiteRtEvent*);
    bool has_profiler() const {
        return set_cpu_threads == nullptr && get_profiler != nullptr && start_profiler != nullptr &&
               stop_profiler != nullptr && count_events != nullptr && get_events != nullptr;
    }
    Status (*run)(CompiledModelT*, std::size_t, std::size_t, BufferT**, std::size_t, BufferT**);
};

}  // namespace edgeprof::litert
