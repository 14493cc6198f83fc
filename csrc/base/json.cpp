#include "base/json.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>
#include <system_error>

namespace edgeprof::json {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Length of the valid UTF-8 sequence that starts at `at`, or 0.
// Follows the table of well-formed sequences in the Unicode standard (no overlong forms, no
// surrogates, at most U+10FFFF).
std::size_t utf8_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) -> unsigned {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
    };
    const auto is_tail = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return is_tail(1) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (!is_tail(1) || !is_tail(2)) return 0;
        if (lead == 0xE0 && byte(1) < 0xA0) return 0;
        if (lead == 0xED && byte(1) > 0x9F) return 0;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (!is_tail(1) || !is_tail(2) || !is_tail(3)) return 0;
        if (lead == 0xF0 && byte(1) < 0x90) return 0;
        if (lead == 0xF4 && byte(1) > 0x8F) return 0;
        return 4;
    }
    return 0;
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0 | (code >> 6));
        put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        put(0xE0 | (code >> 12));
        put(0x80 | ((code >> 6) & 0x3F));
        put(0x80 | (code & 0x3F));
    } else {
        put(0xF0 | (code >> 18));
        put(0x80 | ((code >> 12) & 0x3F));
        put(0x80 | ((code >> 6) & 0x3F));
        put(0x80 | (code & 0x3F));
    }
}

class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Value document() {
        Value value = this->value(0);
        skip_space();
        if (at_ != text_.size()) fail("text after the end");
        return value;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw ParseError("no JSON at column " + std::to_string(at_ + 1) + ": " + what);
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' ||
                                      text_[at_] == '\n' || text_[at_] == '\r')) {
            ++at_;
        }
    }

    bool take(char c) {
        if (peek() != c || at_ >= text_.size()) return false;
        ++at_;
        return true;
    }

    void expect(char c) {
        if (!take(c)) fail(std::string("expected '") + c + "'");
    }

    Value value(int depth) {
        if (depth > kMaxDepth) fail("more than " + std::to_string(kMaxDepth) + " levels");
        skip_space();
        switch (peek()) {
            case '{':
                return object(depth);
            case '[':
                return array(depth);
            case '"':
                return Value(string());
            case 't':
                return word("true", Value(true));
            case 'f':
                return word("false", Value(false));
            case 'n':
                return word("null", Value());
            default:
                return number();
        }
    }

    Value word(std::string_view expected, Value value) {
        if (text_.substr(at_, expected.size()) != expected) fail("unknown word");
        at_ += expected.size();
        return value;
    }

    Value object(int depth) {
        expect('{');
        Object members;
        skip_space();
        if (take('}')) return Value(std::move(members));
        do {
            skip_space();
            std::string key = string();
            for (const auto& member : members) {
                if (member.first == key) fail("key \"" + key + "\" stands twice");
            }
            skip_space();
            expect(':');
            members.emplace_back(std::move(key), value(depth + 1));
            skip_space();
        } while (take(','));
        expect('}');
        return Value(std::move(members));
    }

    Value array(int depth) {
        expect('[');
        Array items;
        skip_space();
        if (take(']')) return Value(std::move(items));
        do {
            items.push_back(value(depth + 1));
            skip_space();
        } while (take(','));
        expect(']');
        return Value(std::move(items));
    }

    std::uint32_t hex4() {
        std::uint32_t code = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = peek();
            code <<= 4;
            if (is_digit(c)) {
                code |= static_cast<std::uint32_t>(c - '0');
            } else if (c >= 'a' && c <= 'f') {
                code |= static_cast<std::uint32_t>(c - 'a' + 10);
            } else if (c >= 'A' && c <= 'F') {
                code |= static_cast<std::uint32_t>(c - 'A' + 10);
            } else {
                fail("\\u needs four hexadecimal digits");
            }
        }
        return code;
    }

    std::uint32_t unicode_escape() {
        const std::uint32_t high = hex4();
        if (high < 0xD800 || high > 0xDFFF) return high;
        if (high > 0xDBFF || !take('\\') || !take('u')) fail("half of a surrogate pair");
        const std::uint32_t low = hex4();
        if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
        return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }

    void escape(std::string& out) {
        const char c = peek();
        ++at_;
        switch (c) {
            case '"':
            case '\\':
            case '/':
                out.push_back(c);
                return;
            case 'b':
                out.push_back('\b');
                return;
            case 'f':
                out.push_back('\f');
                return;
            case 'n':
                out.push_back('\n');
                return;
            case 'r':
                out.push_back('\r');
                return;
            case 't':
                out.push_back('\t');
                return;
            case 'u':
                append_utf8(out, unicode_escape());
                return;
            default:
                --at_;
                fail("unknown escape");
        }
    }

    std::string string() {
        expect('"');
        std::string out;
        while (!take('"')) {
            if (at_ >= text_.size()) fail("string without end");
            if (take('\\')) {
                escape(out);
                continue;
            }
            if (static_cast<unsigned char>(text_[at_]) < 0x20) fail("control character");
            const std::size_t length = utf8_length(text_, at_);
            if (length == 0) fail("no valid UTF-8");
            out.append(text_.substr(at_, length));
            at_ += length;
        }
        return out;
    }

    void digits() {
        if (!is_digit(peek())) fail("expected a value");
        while (is_digit(peek())) ++at_;
    }

    Value number() {
        const std::size_t start = at_;
        take('-');
        if (!take('0')) digits();
        bool is_integer = true;
        if (take('.')) {
            is_integer = false;
            digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            is_integer = false;
            ++at_;
            if (!take('+')) take('-');
            digits();
        }
        const std::string_view text = text_.substr(start, at_ - start);
        return is_integer ? to_integer(text) : to_real(std::string(text));
    }

    Value to_integer(std::string_view text) const {
        std::int64_t integer = 0;
        const auto result = std::from_chars(text.data(), text.data() + text.size(), integer);
        if (result.ec != std::errc()) fail("integer beyond 64 bits");
        return Value(integer);
    }

    Value to_real(const std::string& text) const {
        // A stream with the classic locale: strtod would follow the locale of a host application,
        // and std::from_chars for reals is younger than the compilers of some boards.
        std::istringstream stream(text);
        stream.imbue(std::locale::classic());
        double real = 0.0;
        if (!(stream >> real) || !std::isfinite(real)) fail("number out of range");
        return Value(real);
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

const Value* Value::find(std::string_view key) const {
    const Object* object = as_object();
    if (object == nullptr) return nullptr;
    for (const auto& member : *object) {
        if (member.first == key) return &member.second;
    }
    return nullptr;
}

Value parse(std::string_view text) { return Parser(text).document(); }

std::string string_member(std::string_view text, std::string_view key) {
    try {
        const Value tree = parse(text);
        const Value* member = tree.find(key);
        if (member != nullptr && member->as_string() != nullptr) return *member->as_string();
    } catch (const ParseError&) {  // torn or foreign: it says nothing
    }
    return "";
}

void Writer::separate() {
    if (needs_comma_) text_.push_back(',');
    needs_comma_ = true;
}

Writer& Writer::open(char bracket) {
    separate();
    text_.push_back(bracket);
    needs_comma_ = false;
    return *this;
}

Writer& Writer::close(char bracket) {
    text_.push_back(bracket);
    needs_comma_ = true;
    return *this;
}

Writer& Writer::raw(std::string_view json) {
    separate();
    text_.append(json);
    return *this;
}

Writer& Writer::key(std::string_view name) {
    value(name);
    text_.push_back(':');
    needs_comma_ = false;
    return *this;
}

Writer& Writer::value(std::string_view text) {
    static const char kHex[] = "0123456789abcdef";
    separate();
    text_.push_back('"');
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (c == '"' || c == '\\') {
            text_.push_back('\\');
            text_.push_back(c);
            ++at;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            text_.append("\\u00");
            text_.push_back(kHex[(c >> 4) & 0xF]);
            text_.push_back(kHex[c & 0xF]);
            ++at;
        } else if (const std::size_t length = utf8_length(text, at)) {
            text_.append(text.substr(at, length));
            at += length;
        } else {
            text_.append("\\ufffd");  // a path need not be UTF-8, a JSON text must be
            ++at;
        }
    }
    text_.push_back('"');
    return *this;
}

Writer& Writer::value(double number) {
    if (!std::isfinite(number)) return raw("null");
    std::string text;
    for (int digits = 15; digits <= std::numeric_limits<double>::max_digits10; ++digits) {
        std::ostringstream out;
        out.imbue(std::locale::classic());
        out.precision(digits);
        out << number;
        text = out.str();
        std::istringstream in(text);
        in.imbue(std::locale::classic());
        double again = 0.0;
        if (in >> again && again == number) break;
    }
    return raw(text);
}

Writer& Writer::value(const Value& tree) {
    if (const bool* flag = tree.as_bool()) return value(*flag);
    if (const std::int64_t* integer = tree.as_int()) return value(*integer);
    if (const double* real = tree.as_double()) return value(*real);
    if (const std::string* text = tree.as_string()) return value(*text);
    if (const Array* items = tree.as_array()) {
        begin_array();
        for (const Value& item : *items) value(item);
        return end_array();
    }
    if (const Object* members = tree.as_object()) {
        begin_object();
        for (const auto& [name, item] : *members) member(name, item);
        return end_object();
    }
    return raw("null");
}

}  // namespace edgeprof::json
