#include "machine/system_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace edgeprof {
namespace {

// /proc/cpuinfo of a server with some hundred cores is the longest file read here.
constexpr std::size_t kMaxFileBytes = 4 << 20;
constexpr int kMaxCpuNumber = 8191;  // the kernel's largest NR_CPUS

std::string without_trailing_blanks(std::string text) {
    const auto end = text.find_last_not_of(std::string(" \t\r\n\0", 5));
    text.erase(end == std::string::npos ? 0 : end + 1);
    return text;
}

// "policy10" after "policy9": by the text before the number, then by the number.
bool natural_less(const std::string& a, const std::string& b) {
    const auto stem = [](const std::string& s) { return s.find_last_not_of("0123456789") + 1; };
    const auto stem_a = stem(a);
    const auto stem_b = stem(b);
    if (a.compare(0, stem_a, b, 0, stem_b) != 0) return a < b;
    if (a.size() != b.size()) return a.size() < b.size();
    return a < b;
}

}  // namespace

SystemFiles::SystemFiles(std::string root) : root_(std::move(root)) {
    if (root_.empty() || root_.back() != '/') root_ += '/';
}

std::string SystemFiles::full_path(const std::string& path) const { return root_ + path; }

bool SystemFiles::exists(const std::string& path) const {
    struct stat info{};
    return ::stat(full_path(path).c_str(), &info) == 0;
}

std::optional<std::string> SystemFiles::read_text(const std::string& path) const {
    const int file = ::open(full_path(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return std::nullopt;
    std::string text;
    char buffer[4096];
    ssize_t got = 0;
    while (text.size() < kMaxFileBytes) {
        got = ::read(file, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(file);
    if (got < 0) return std::nullopt;
    return without_trailing_blanks(std::move(text));
}

std::optional<std::int64_t> SystemFiles::read_integer(const std::string& path) const {
    return read_integer_file(full_path(path).c_str());
}

std::vector<std::string> SystemFiles::list(const std::string& path,
                                           const std::string& prefix) const {
    std::vector<std::string> names;
    DIR* folder = ::opendir(full_path(path).c_str());
    if (folder == nullptr) return names;
    while (const dirent* entry = ::readdir(folder)) {
        std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        if (name.compare(0, prefix.size(), prefix) == 0) names.push_back(std::move(name));
    }
    ::closedir(folder);
    std::sort(names.begin(), names.end(), natural_less);
    return names;
}

std::ptrdiff_t read_file(const char* full_path, char* buffer, std::size_t capacity) noexcept {
    const int file = ::open(full_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return -1;
    std::size_t filled = 0;
    ssize_t got = 0;
    while (filled < capacity) {
        got = ::read(file, buffer + filled, capacity - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        filled += static_cast<std::size_t>(got);
    }
    ::close(file);
    return got < 0 ? -1 : static_cast<std::ptrdiff_t>(filled);
}

std::optional<std::int64_t> read_integer_file(const char* full_path) noexcept {
    char text[32];
    const std::ptrdiff_t length = read_file(full_path, text, sizeof text - 1);
    if (length <= 0) return std::nullopt;
    text[length] = '\0';
    const bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    char* end = nullptr;
    errno = 0;
    const long long value = std::strtoll(text, &end, hexadecimal ? 16 : 10);
    if (end == text || errno != 0) return std::nullopt;
    while (*end == '\n' || *end == ' ') ++end;
    if (*end != '\0') return std::nullopt;
    return value;
}

std::optional<std::int64_t> parse_integer(const std::string& text, int base) {
    if (text.empty()) return std::nullopt;
    char* end = nullptr;
    errno = 0;
    const long long value = std::strtoll(text.c_str(), &end, base);
    if (errno != 0 || *end != '\0' || end == text.c_str()) return std::nullopt;
    return value;
}

std::optional<std::vector<int>> parse_cpu_list(const std::string& text) {
    std::vector<int> cpus;
    for (const std::string& range : split(text, ", \t\n")) {
        const auto dash = range.find('-');
        const auto first = parse_integer(range.substr(0, dash));
        const auto last = dash == std::string::npos ? first : parse_integer(range.substr(dash + 1));
        if (!first || !last || *first < 0 || *last < *first || *last > kMaxCpuNumber) {
            return std::nullopt;
        }
        for (std::int64_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<int>(cpu));
    }
    return cpus;
}

std::vector<std::string> split(const std::string& text, const char* separators) {
    std::vector<std::string> pieces;
    std::size_t at = 0;
    while ((at = text.find_first_not_of(separators, at)) != std::string::npos) {
        const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
        pieces.push_back(text.substr(at, end - at));
        at = end;
    }
    return pieces;
}

}  // namespace edgeprof
