// Makes .edgp files for tests. The format's owner is edgeprof/predictors/edgp_file.py.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace edgeprof::edgp_sample {

using Bytes = std::vector<std::uint8_t>;

inline void put(Bytes& bytes, std::uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

inline void put_float(Bytes& bytes, float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    put(bytes, bits, 4);
}

// Bit by bit, unlike the reader's.
inline std::uint32_t crc32(const Bytes& bytes, std::size_t size) {
    std::uint32_t crc = 0xffffffffU;
    for (std::size_t i = 0; i < size; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
    }
    return ~crc;
}

// Makes size field and CRC fit what the bytes have become.
inline void seal(Bytes& bytes) {
    if (bytes.size() < 16) return;
    const std::size_t size = bytes.size();
    for (std::size_t i = 0; i < 4; ++i) bytes[8 + i] = static_cast<std::uint8_t>(size >> (8 * i));
    const std::uint32_t crc = crc32(bytes, size - 4);
    for (std::size_t i = 0; i < 4; ++i)
        bytes[size - 4 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
}

struct Shape {
    std::vector<std::uint16_t> cardinalities;
    unsigned additive;
    unsigned hidden;
    unsigned inner;
    unsigned value_bytes;
};

// A valid file whose tensor values all are `value`; float16 files take 0.5 whatever it says.
inline Bytes make(const Shape& shape, float value = 0.5F, float unit_ms = 2, float offset_ms = 1) {
    const std::string space = "a-space";
    const std::string device = "a-device";
    const std::string provenance = "{}";
    Bytes bytes = {'E', 'D', 'G', 'P'};
    put(bytes, 1, 2);
    put(bytes, shape.value_bytes, 2);
    put(bytes, 0, 4);
    put(bytes, shape.cardinalities.size(), 2);
    put(bytes, shape.additive, 1);
    put(bytes, shape.hidden, 1);
    put(bytes, shape.inner, 1);
    put(bytes, 0, 1);
    put(bytes, space.size(), 2);
    put(bytes, device.size(), 2);
    put(bytes, provenance.size(), 2);
    put_float(bytes, unit_ms);
    put_float(bytes, offset_ms);
    std::size_t choices = 0;
    for (std::size_t i = 0; i < shape.cardinalities.size(); ++i) {
        put(bytes, shape.cardinalities[i], 2);
        if (i + 1 < shape.cardinalities.size()) choices += shape.cardinalities[i] - 1U;
    }
    for (const std::string& text : {space, device, provenance})
        bytes.insert(bytes.end(), text.begin(), text.end());
    while (bytes.size() % 4 != 0) bytes.push_back(0);
    const std::size_t width = shape.additive + shape.hidden;
    const std::size_t resolutions = shape.cardinalities.back();
    const std::size_t values = choices * width + resolutions * (width + 1 + shape.hidden) +
                               shape.hidden * shape.inner + 2 * shape.inner + shape.hidden;
    for (std::size_t i = 0; i < values; ++i) {
        if (shape.value_bytes == 2)
            put(bytes, 0x3800, 2);
        else
            put_float(bytes, value);
    }
    put(bytes, 0, 4);
    seal(bytes);
    return bytes;
}

}  // namespace edgeprof::edgp_sample
