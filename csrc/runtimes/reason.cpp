#include "runtimes/reason.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace edgeprof {

namespace {

bool is_in_path(char c) {
    return std::isspace(static_cast<unsigned char>(c)) == 0 && c != '[' && c != '(' && c != '\'' &&
           c != '"';
}

// The end of what the bracket at `open` encloses, or npos.
std::size_t end_of_brackets(const std::string& text, std::size_t open) {
    const char opening = text[open], closing = opening == '(' ? ')' : ']';
    int depth = 0;
    for (std::size_t i = open; i < text.size(); ++i) {
        depth += text[i] == opening ? 1 : text[i] == closing ? -1 : 0;
        if (depth == 0) return i + 1;
    }
    return std::string::npos;
}

// The end of a function's signature that begins there ("void a::b(int) const [with T = int]"), or
// the beginning where there is none.
std::size_t end_of_signature(const std::string& text, std::size_t begin) {
    const std::size_t open = text.find('(', begin);
    if (open == std::string::npos) return begin;
    const std::string name = text.substr(begin, open - begin);
    const bool is_name =
        name.find("::") != std::string::npos && name.find_first_of(".;!?'\"") == std::string::npos;
    std::size_t end = is_name ? end_of_brackets(text, open) : std::string::npos;
    if (end == std::string::npos) return begin;
    if (text.compare(end, 6, " const") == 0) end += 6;
    if (text.compare(end, 6, " [with") == 0) {
        const std::size_t after = end_of_brackets(text, end + 1);
        if (after != std::string::npos) end = after;
    }
    return end;
}

}  // namespace

std::string without_source_paths(const std::string& text) {
    std::string kept = text;
    for (const char* ending : {".cc:", ".cpp:", ".h:", ".hpp:", ".cu:", ".cuh:", ".c:", ".inc:"}) {
        std::size_t at = 0;
        while ((at = kept.find(ending, at)) != std::string::npos) {
            std::size_t begin = at, end = at + std::string(ending).size();
            const std::size_t digits = end;
            while (end < kept.size() && std::isdigit(static_cast<unsigned char>(kept[end])) != 0) {
                ++end;
            }
            if (end == digits) {
                at = end;
                continue;
            }
            while (begin > 0 && is_in_path(kept[begin - 1])) --begin;
            const bool is_bracketed = begin > 0 && kept[begin - 1] == '[' && kept[end] == ']';
            if (is_bracketed) --begin, ++end;
            while (end < kept.size() && (kept[end] == ' ' || kept[end] == ':')) ++end;
            end = end_of_signature(kept, end);
            while (end < kept.size() && kept[end] == ' ') ++end;
            kept.erase(begin, end - begin);
            at = begin;
        }
    }
    return kept;
}

std::string errors_of_log(const std::string& text) {
    const std::string mark = "ERROR: ";
    std::string errors;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::string line = text.substr(begin, end - begin);
        begin = end + 1;
        if (line.compare(0, mark.size(), mark) != 0) continue;
        const std::string error = without_source_paths(line.substr(mark.size()));
        if (errors.find(error) != std::string::npos) continue;  // told before
        errors += (errors.empty() ? "" : "; ") + error;
    }
    return errors;
}

StderrLog::StderrLog() : start_(lseek(STDERR_FILENO, 0, SEEK_CUR)) {}

std::string StderrLog::read() const {
    struct stat facts = {};
    if (start_ < 0 || fstat(STDERR_FILENO, &facts) != 0 || !S_ISREG(facts.st_mode)) return "";
    // By another descriptor: this one may be for writing alone.
    const int descriptor = open("/proc/self/fd/2", O_RDONLY | O_CLOEXEC);
    std::string text;
    char buffer[4096];
    constexpr std::size_t kMost = 1 << 16;
    while (descriptor >= 0 && text.size() < kMost) {
        const ssize_t n =
            pread(descriptor, buffer, sizeof buffer, start_ + static_cast<off_t>(text.size()));
        if (n <= 0) break;
        text.append(buffer, static_cast<std::size_t>(n));
    }
    if (descriptor >= 0) close(descriptor);
    return text;
}

}  // namespace edgeprof
