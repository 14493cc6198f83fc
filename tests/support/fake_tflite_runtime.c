/* A stand-in for tflite-runtime's extension module: the one C++ symbol that edgeprof calls, around
 * a "model" that doubles its input. Kind 'c' crashes. */
#include <stdlib.h>

typedef struct Interpreter {
    float in[16], out[16];
    char kind;
} Interpreter;

/* Fails on what a model must never be timed on: inputs that are all zero. */
int _ZN6tflite4impl11Interpreter6InvokeEv(Interpreter* interpreter) {
    if (interpreter->kind == 'c') abort();
    float sum = 0;
    for (int i = 0; i < 16; ++i) {
        interpreter->out[i] = 2 * interpreter->in[i];
        sum += interpreter->in[i] * interpreter->in[i];
    }
    return sum > 0 ? 0 : 1;
}
