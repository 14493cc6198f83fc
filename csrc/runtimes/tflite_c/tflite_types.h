// Names of tensor element types. LiteRtElementType and TfLiteType have the same numbers.
#pragma once

namespace edgeprof {

inline const char* tflite_type_name(int element_type) noexcept {
    switch (element_type) {
        case 1:
            return "float32";
        case 2:
            return "int32";
        case 3:
            return "uint8";
        case 4:
            return "int64";
        case 6:
            return "bool";
        case 7:
            return "int16";
        case 9:
            return "int8";
        case 10:
            return "float16";
        case 11:
            return "float64";
        case 13:
            return "uint64";
        case 16:
            return "uint32";
        case 17:
            return "uint16";
        default:
            return "unknown";
    }
}

}  // namespace edgeprof
