// JSON, as much of it as job lines and records need: a strict reader and a writer.
//
// The reader takes RFC 8259 and nothing more: no comments, no trailing commas, no NaN, no duplicate
// keys, valid UTF-8, at most kMaxDepth levels. Integers stay integers (seeds have 64 bits).
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace edgeprof::json {

constexpr int kMaxDepth = 32;

class Value;
using Array = std::vector<Value>;
using Object = std::vector<std::pair<std::string, Value>>;  // keeps the order of the text

// The text is no JSON; the message names the column.
class ParseError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class Value {
  public:
    using Storage =
        std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object>;

    Value() : storage_(nullptr) {}
    explicit Value(Storage storage) : storage_(std::move(storage)) {}

    bool is_null() const { return std::holds_alternative<std::nullptr_t>(storage_); }
    const bool* as_bool() const { return std::get_if<bool>(&storage_); }
    const std::int64_t* as_int() const { return std::get_if<std::int64_t>(&storage_); }
    const double* as_double() const { return std::get_if<double>(&storage_); }
    const std::string* as_string() const { return std::get_if<std::string>(&storage_); }
    const Array* as_array() const { return std::get_if<Array>(&storage_); }
    const Object* as_object() const { return std::get_if<Object>(&storage_); }

    // The member of that name, or nullptr (also when this is no object).
    const Value* find(std::string_view key) const;

  private:
    Storage storage_;
};

// Reads one JSON text; throws ParseError.
Value parse(std::string_view text);

// The member of that name, where it is a string; empty where not, or where the text is torn.
std::string string_member(std::string_view text, std::string_view key);

// Writes one JSON text. Commas and quotes are its business; balance and keys are the caller's:
//     Writer w; w.begin_object(); w.key("n").value(3); w.end_object(); w.text()
class Writer {
  public:
    Writer& begin_object() { return open('{'); }
    Writer& end_object() { return close('}'); }
    Writer& begin_array() { return open('['); }
    Writer& end_array() { return close(']'); }
    Writer& key(std::string_view name);

    Writer& value(std::string_view text);
    Writer& value(const char* text) { return value(std::string_view(text)); }
    Writer& value(const std::string& text) { return value(std::string_view(text)); }
    Writer& value(bool flag) { return raw(flag ? "true" : "false"); }
    Writer& value(double number);  // as short as it reads back the same; not finite: null
    template <class Integer>
    std::enable_if_t<std::is_integral_v<Integer>, Writer&> value(Integer number) {
        return raw(std::to_string(number));
    }
    template <class T>
    Writer& value(const std::vector<T>& items) {
        begin_array();
        for (const auto& item : items) value(item);
        return end_array();
    }
    Writer& value(const Value& tree);

    // Inserts a text that is JSON already.
    Writer& raw(std::string_view json);

    // key(name).value(item) in one.
    template <class T>
    Writer& member(std::string_view name, const T& item) {
        key(name);
        return value(item);
    }

    const std::string& text() const { return text_; }

  private:
    Writer& open(char bracket);
    Writer& close(char bracket);
    void separate();

    std::string text_;
    bool needs_comma_ = false;
};

}  // namespace edgeprof::json
