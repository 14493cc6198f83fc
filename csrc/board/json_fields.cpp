#include "board/json_fields.h"

#include <limits>

#include "base/error.h"

namespace edgeprof {

void refuse(const std::string& field, const std::string& wanted) {
    throw Error(ErrorKind::kInvalidJob, "job: field '" + field + "': expected " + wanted);
}

std::string read_string(const std::string& field, const json::Value& value) {
    if (const std::string* text = value.as_string()) return *text;
    refuse(field, "a string");
}

double read_number(const std::string& field, const json::Value& value, double least, double most) {
    double number = std::numeric_limits<double>::quiet_NaN();
    if (const double* real = value.as_double()) number = *real;
    if (const std::int64_t* integer = value.as_int()) number = static_cast<double>(*integer);
    if (number >= least && number <= most) return number;
    json::Writer range;
    range.begin_array().value(least).value(most).end_array();
    refuse(field, "a number in " + range.text());
}

std::int64_t read_integer(const std::string& field, const json::Value& value, std::int64_t least,
                          std::int64_t most) {
    const std::int64_t* integer = value.as_int();
    if (integer != nullptr && *integer >= least && *integer <= most) return *integer;
    refuse(field, "an integer in [" + std::to_string(least) + "," + std::to_string(most) + "]");
}

std::vector<std::int64_t> read_integers(const std::string& field, const json::Value& value,
                                        std::int64_t least, std::int64_t most) {
    const json::Array* items = value.as_array();
    if (items == nullptr) refuse(field, "a list of integers");
    std::vector<std::int64_t> integers;
    for (const json::Value& item : *items) {
        integers.push_back(read_integer(field, item, least, most));
    }
    return integers;
}

bool read_flag(const std::string& field, const json::Value& value) {
    if (const bool* flag = value.as_bool()) return *flag;
    refuse(field, "true or false");
}

const json::Object& read_object(const std::string& field, const json::Value& value) {
    const json::Object* object = value.as_object();
    if (object == nullptr) refuse(field, "an object");
    return *object;
}

}  // namespace edgeprof
