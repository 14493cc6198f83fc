// The runtime tflite_runtime: the wheels of that name, driven through Python.
#pragma once

namespace edgeprof {

// Makes the runtime known to jobs of this process. Only a process with a Python interpreter can.
void provide_tflite_runtime();

}  // namespace edgeprof
