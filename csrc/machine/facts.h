// One JSON object of facts, and the texts they are read from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace edgeprof {

// One JSON object; a member whose value is not there is left out, and so is an empty list. Texts
// become plain ASCII: a device tree may hold any byte.
class Facts {
  public:
    void add(const char* name, const std::optional<std::string>& value);
    void add(const char* name, std::optional<std::int64_t> value);
    void add_number(const char* name, std::optional<double> value);
    void add_flag(const char* name, std::optional<bool> value);
    void add(const char* name, const std::vector<std::string>& values);
    void add(const char* name, const std::vector<int>& values);
    void add(const char* name, std::vector<Facts> values);
    void add(const char* name, Facts value);
    std::string text() const;

  private:
    void put(const char* name, json::Value::Storage value);
    json::Object members_;
};

// 0 and 1 as the kernel writes switches.
std::optional<bool> as_flag(std::optional<std::int64_t> value);

// "key<separator>value" lines, as in /proc/meminfo and /etc/os-release.
using Pairs = std::map<std::string, std::string>;
Pairs read_pairs(const std::optional<std::string>& text, char separator);
std::optional<std::string> find(const Pairs& pairs, const char* key);

std::string hexadecimal(std::uint32_t value);

}  // namespace edgeprof
