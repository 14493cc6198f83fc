/* A stand-in for a libonnxruntime.so with GPU providers: the part of its C API that edgeprof uses,
 * around a model of one input and one output. What is called, and with what, it appends to the
 * file that FAKE_ORT_LOG names. Slots are those of onnxruntime_c_api.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void Status;
static int thing; /* every object of the runtime */

static void note(const char* format, ...) {
    const char* path = getenv("FAKE_ORT_LOG");
    FILE* file = path == NULL ? NULL : fopen(path, "a");
    if (file == NULL) return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
    fclose(file);
}

static void note_options(const char* what, const char* const* keys, const char* const* values,
                         size_t n) {
    for (size_t i = 0; i < n; ++i) note("%s %s=%s", what, keys[i], values[i]);
}

static Status* done(void) { return NULL; }
static void release(void* object) { (void)object; }

static int error_code(const Status* status) {
    (void)status;
    return 1;
}
static const char* error_message(const Status* status) {
    (void)status;
    return "no such thing";
}

/* Functions whose last parameter is where the object goes, by their number of parameters. */
static Status* give1(void** out) { return *out = &thing, NULL; }
static Status* give2(void* a, void** out) { return (void)a, give1(out); }
static Status* give3(void* a, size_t b, void** out) { return (void)b, give2(a, out); }
static Status* give4(void* a, void* b, void* c, void** out) {
    return (void)b, (void)c, give2(a, out);
}
static Status* create_env(int a, void* b, void** out) { return (void)a, give2(b, out); }
static Status* create_value(void* memory, void* data, size_t n, const int64_t* shape, size_t rank,
                            int type, void** out) {
    return (void)memory, (void)data, (void)n, (void)shape, (void)rank, (void)type, give1(out);
}

static Status* one(void* session, size_t* out) { return (void)session, *out = 1, NULL; }
static Status* one_int(void* info, int* out) { return (void)info, *out = 1, NULL; }
static Status* name(const char* text, char** out) { return *out = (char*)text, NULL; }
static Status* input_name(void* session, size_t index, void* allocator, char** out) {
    return (void)session, (void)index, (void)allocator, name("x", out);
}
static Status* output_name(void* session, size_t index, void* allocator, char** out) {
    return (void)session, (void)index, (void)allocator, name("y", out);
}
static Status* dimensions(void* info, int64_t* out, size_t rank) {
    return (void)info, (void)rank, out[0] = 4, NULL;
}
static Status* symbols(void* info, const char** out, size_t rank) {
    return (void)info, (void)rank, out[0] = "", NULL;
}

static Status* add_config(void* options, const char* key, const char* value) {
    note("config %s=%s", key, value);
    return (void)options, NULL;
}
static Status* memory_info(const char* kind, int allocator, int device, int type, void** out) {
    note("memory %s %d", kind, device);
    return (void)allocator, (void)type, give1(out);
}
static Status* bind_input(void* binding, const char* input, const void* value) {
    note("bind %s", input);
    return (void)binding, (void)value, NULL;
}
static Status* sync_inputs(void* binding) { return (void)binding, note("sync inputs"), NULL; }
static Status* sync_outputs(void* binding) { return (void)binding, note("sync outputs"), NULL; }
static Status* run(void* session, const void* options, const void* binding) {
    note("run");
    return (void)session, (void)options, (void)binding, NULL;
}
static Status* update_cuda(void* cuda, const char* const* keys, const char* const* values,
                           size_t n) {
    note_options("CUDA", keys, values, n);
    return (void)cuda, NULL;
}
static Status* update_tensorrt(void* tensorrt, const char* const* keys, const char* const* values,
                               size_t n) {
    note_options("TensorRT", keys, values, n);
    return (void)tensorrt, NULL;
}
static Status* append_cuda(void* options, const void* cuda) {
    note("append CUDA");
    return (void)options, (void)cuda, NULL;
}
static Status* append_tensorrt(void* options, const void* tensorrt) {
    note("append TensorRT");
    return (void)options, (void)tensorrt, NULL;
}
static Status* append(void* options, const char* provider, const char* const* keys,
                      const char* const* values, size_t n) {
    note("append %s", provider);
    note_options(provider, keys, values, n);
    return (void)options, NULL;
}
Status* OrtSessionOptionsAppendExecutionProvider_ACL(void* options, int argument) {
    note("append ACL %d", argument);
    return (void)options, NULL;
}

#define N_SLOTS 217
static void* table[N_SLOTS];

static const void* const* get_api(uint32_t version) {
    (void)version;
    for (size_t i = 0; i < N_SLOTS; ++i) table[i] = (void*)done;
    table[1] = (void*)error_code;
    table[2] = (void*)error_message;
    table[3] = (void*)create_env;
    table[7] = (void*)give4;              /* CreateSession */
    table[10] = table[39] = (void*)give1; /* CreateSessionOptions, CreateRunOptions */
    table[30] = table[31] = (void*)one;   /* numbers of inputs and outputs */
    table[33] = table[34] = (void*)give3; /* their types */
    table[36] = (void*)input_name;
    table[37] = (void*)output_name;
    table[49] = (void*)create_value;
    table[55] = (void*)give2;               /* CastTypeInfoToTensorInfo */
    table[56] = table[60] = (void*)one_int; /* a tensor, of float32 */
    table[61] = (void*)one;                 /* its rank */
    table[62] = (void*)dimensions;
    table[63] = (void*)symbols;
    table[68] = (void*)memory_info;
    table[78] = (void*)give1; /* the allocator */
    for (size_t i = 92; i <= 100; ++i) table[i] = (void*)release;
    table[130] = (void*)add_config;
    table[133] = (void*)run;
    table[134] = (void*)give2; /* CreateIoBinding */
    table[132] = table[135] = (void*)release;
    table[136] = (void*)bind_input;
    table[170] = (void*)append_tensorrt;
    table[171] = table[205] = (void*)give1; /* the options of TensorRT and CUDA */
    table[172] = (void*)update_tensorrt;
    table[174] = table[208] = (void*)release;
    table[202] = (void*)sync_inputs;
    table[203] = (void*)sync_outputs;
    table[204] = (void*)append_cuda;
    table[206] = (void*)update_cuda;
    table[216] = (void*)append;
    return (const void* const*)table;
}
static const char* get_version(void) { return "1.99.0-fake"; }

typedef struct ApiBase {
    const void* const* (*get_api)(uint32_t);
    const char* (*get_version)(void);
} ApiBase;
const ApiBase* OrtGetApiBase(void) {
    static const ApiBase base = {get_api, get_version};
    return &base;
}
