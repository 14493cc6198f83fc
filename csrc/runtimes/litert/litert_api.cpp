#include "runtimes/litert/litert_api.h"

namespace edgeprof::litert {

namespace {

template <class Function>
void find(const Library& library, const char* symbol, Function& target) {
    target = library.find<Function>(symbol);
}
template <class Function>
void need(const Library& library, const char* symbol, Function& target) {
    target = library.need<Function>(symbol);
}

void find_profiler(const Library& library, Api& api) {
    find(library, "LiteRtCompiledModelGetProfiler", api.get_profiler);
    find(library, "LiteRtStartProfiler", api.start_profiler);
    find(library, "LiteRtStopProfiler", api.stop_profiler);
    find(library, "LiteRtGetNumProfilerEvents", api.count_events);
    find(library, "LiteRtGetProfilerEvents", api.get_events);
}

}  // namespace

Api::Api(const Library& library) {
    model_takes_environment = library.find<void*>("LiteRtCreateModelFromFd") != nullptr;
    find(library, "LiteRtGetStatusString", status_string);
    need(library, "LiteRtCreateEnvironment", create_environment);
    need(library, "LiteRtDestroyEnvironment", destroy_environment);
    need(library, "LiteRtCreateModelFromFile", create_model_from_file);
    need(library, "LiteRtDestroyModel", destroy_model);
    need(library, "LiteRtCreateOptions", create_options);
    need(library, "LiteRtDestroyOptions", destroy_options);
    need(library, "LiteRtSetOptionsHardwareAccelerators", set_accelerators);
    need(library, "LiteRtAddOpaqueOptions", add_opaque_options);
    need(library, "LiteRtCreateOpaqueOptions", create_opaque_options);
    find(library, "LiteRtCreateCpuOptions", create_cpu_options);
    find(library, "LiteRtFindCpuOptions", find_cpu_options);
    find(library, "LiteRtSetCpuOptionsNumThread", set_cpu_threads);
    need(library, "LiteRtCreateCompiledModel", create_compiled_model);
    find_profiler(library, *this);
    need(library, "LiteRtDestroyCompiledModel", destroy_compiled_model);
    find(library, "LiteRtCompiledModelIsFullyAccelerated", is_fully_accelerated);
    need(library, "LiteRtCompiledModelResizeInputTensor", resize_input);
    find(library, "LiteRtCompiledModelResizeInputTensorNonStrict", resize_freely);
    need(library, "LiteRtGetCompiledModelOutputTensorLayouts", output_layouts);
    need(library, "LiteRtGetModelSignature", get_signature);
    need(library, "LiteRtGetNumSignatureInputs", count_inputs);
    need(library, "LiteRtGetNumSignatureOutputs", count_outputs);
    need(library, "LiteRtGetSignatureInputName", input_name);
    need(library, "LiteRtGetSignatureOutputName", output_name);
    need(library, "LiteRtGetSignatureInputTensorByIndex", input_tensor);
    need(library, "LiteRtGetSignatureOutputTensorByIndex", output_tensor);
    need(library, "LiteRtGetRankedTensorType", tensor_type);
    need(library, "LiteRtGetCompiledModelInputBufferRequirements", input_requirements);
    need(library, "LiteRtGetCompiledModelOutputBufferRequirements", output_requirements);
    need(library, "LiteRtCreateManagedTensorBufferFromRequirements", create_buffer);
    need(library, "LiteRtDestroyTensorBuffer", destroy_buffer);
    need(library, "LiteRtGetTensorBufferPackedSize", buffer_bytes);
    need(library, "LiteRtLockTensorBuffer", lock_buffer);
    need(library, "LiteRtUnlockTensorBuffer", unlock_buffer);
    need(library, "LiteRtRunCompiledModel", run);
}

}  // namespace edgeprof::litert
