/* A stand-in for libtensorflowlite_c.so: the part of its C API that edgeprof uses, around a "model"
 * that doubles its input. It reads the first bytes of the model file: 'T' loads, as does whatever
 * has the mark of a TFLite file; anything else is refused; "Tx" loads and then fails to prepare,
 * with a reason given to the error reporter. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Model {
    char kind[2];
} Model;
typedef struct Options {
    int threads, delegates;
    void (*report)(void*, const char*, va_list);
    void* reporter;
} Options;
typedef struct Tensor {
    const char* name;
    int dims[2];
    float data[64];
} Tensor;
typedef struct Interpreter {
    Tensor in, out;
    Options options;
} Interpreter;

static void complain(const Options* options, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (options->report != NULL) options->report(options->reporter, format, arguments);
    va_end(arguments);
}

const char* TfLiteVersion(void) { return "2.99.0-fake"; }

Model* TfLiteModelCreateFromFile(const char* path) {
    FILE* file = fopen(path, "rb");
    if (file == NULL) return NULL;
    Model* model = calloc(1, sizeof(Model));
    char start[8] = {0};
    const size_t n = fread(start, 1, sizeof start, file);
    fclose(file);
    if (memcmp(start + 4, "TFL3", 4) == 0) memcpy(start, "T", 2);
    memcpy(model->kind, start, 2);
    if (n >= 1 && model->kind[0] == 'T') return model;
    free(model);
    return NULL;
}
void TfLiteModelDelete(Model* model) { free(model); }

Options* TfLiteInterpreterOptionsCreate(void) { return calloc(1, sizeof(Options)); }
void TfLiteInterpreterOptionsDelete(Options* options) { free(options); }
void TfLiteInterpreterOptionsSetNumThreads(Options* options, int n) { options->threads = n; }
void TfLiteInterpreterOptionsAddDelegate(Options* options, void* delegate) {
    options->delegates += delegate != NULL;
}
void TfLiteInterpreterOptionsSetErrorReporter(Options* options,
                                              void (*report)(void*, const char*, va_list),
                                              void* reporter) {
    options->report = report;
    options->reporter = reporter;
}

Interpreter* TfLiteInterpreterCreate(const Model* model, const Options* options) {
    if (model->kind[1] == 'x') {
        complain(options, "Op builtin_code out of range: %d", 999);
        return NULL;
    }
    Interpreter* interpreter = calloc(1, sizeof(Interpreter));
    interpreter->options = *options;
    interpreter->in = (Tensor){"x", {1, 16}, {0}};
    interpreter->out = (Tensor){"y", {1, 16}, {0}};
    return interpreter;
}
void TfLiteInterpreterDelete(Interpreter* interpreter) { free(interpreter); }
int TfLiteInterpreterGetInputTensorCount(const Interpreter* i) { return i != NULL; }
int TfLiteInterpreterGetOutputTensorCount(const Interpreter* i) { return i != NULL; }
Tensor* TfLiteInterpreterGetInputTensor(Interpreter* i, int index) {
    return index == 0 ? &i->in : 0;
}
const Tensor* TfLiteInterpreterGetOutputTensor(Interpreter* i, int index) {
    return index == 0 ? &i->out : 0;
}
int TfLiteInterpreterResizeInputTensor(Interpreter* i, int index, const int* dims, int n) {
    if (index != 0 || n != 2 || dims[0] * dims[1] > 64) return 1;
    memcpy(i->in.dims, dims, sizeof i->in.dims);
    memcpy(i->out.dims, dims, sizeof i->out.dims);
    return 0;
}
int TfLiteInterpreterAllocateTensors(Interpreter* i) { return i == NULL; }
/* Fails on what a model must never be timed on: inputs that are all zero. */
int TfLiteInterpreterInvoke(Interpreter* i) {
    float sum = 0;
    for (int k = 0; k < i->in.dims[0] * i->in.dims[1]; ++k) {
        i->out.data[k] = 2 * i->in.data[k];
        sum += i->in.data[k] * i->in.data[k];
    }
    if (sum > 0) return 0;
    complain(&i->options, "the input is all zero");
    return 1;
}
int TfLiteTensorType(const Tensor* tensor) { return tensor != NULL; /* float32 */ }
const char* TfLiteTensorName(const Tensor* tensor) { return tensor->name; }
int TfLiteTensorNumDims(const Tensor* tensor) { return tensor != NULL ? 2 : 0; }
int TfLiteTensorDim(const Tensor* tensor, int i) { return tensor->dims[i]; }
size_t TfLiteTensorByteSize(const Tensor* tensor) {
    return sizeof(float) * (size_t)(tensor->dims[0] * tensor->dims[1]);
}
void* TfLiteTensorData(const Tensor* tensor) { return (void*)tensor->data; }

#ifdef WITH_XNNPACK
void* TfLiteXNNPackDelegateCreate(const void* options) { return (void*)options; }
#endif

/* And a delegate plug-in in the same library. */
void* tflite_plugin_create_delegate(const char* const* keys, const char* const* values, size_t n,
                                    void (*report)(const char*)) {
    for (size_t i = 0; i < n; ++i) {
        if (strcmp(keys[i], "device") == 0 && strcmp(values[i], "none") == 0) return NULL;
        if (strcmp(keys[i], "device") == 0 && strcmp(values[i], "busy") == 0) {
            if (report != NULL) report("usb:0 is held by another process");
            return NULL;
        }
    }
    return malloc(1);
}
void tflite_plugin_destroy_delegate(void* delegate) { free(delegate); }
