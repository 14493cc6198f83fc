#include "board/line_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/text_files.h"

namespace edgeprof {

namespace {

// Bytes up to the last line end.
off_t whole_bytes(int descriptor) {
    char buffer[1 << 16];
    off_t whole = 0, position = 0;
    for (ssize_t n; (n = read(descriptor, buffer, sizeof buffer)) > 0; position += n) {
        for (ssize_t i = n; i > 0; --i) {
            if (buffer[i - 1] != '\n') continue;
            whole = position + i;
            break;
        }
    }
    return whole;
}

}  // namespace

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        if (!line.empty()) lines.push_back(line);
    }
    return lines;
}

LineFile::LineFile(const std::string& path)
    : descriptor_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) fail_io(path);
    size_bytes_ = whole_bytes(descriptor_);
    if (ftruncate(descriptor_, size_bytes_) != 0 || lseek(descriptor_, size_bytes_, SEEK_SET) < 0) {
        close(descriptor_);
        fail_io(path);
    }
}

LineFile::~LineFile() { close(descriptor_); }

void LineFile::append(const std::string& line) {
    try {
        write_all(descriptor_, line + "\n");
    } catch (const Error&) {
        static_cast<void>(ftruncate(descriptor_, size_bytes_) == 0);
        throw;
    }
    size_bytes_ += static_cast<off_t>(line.size() + 1);
}

void LineFile::sync() {
    if (fsync(descriptor_) != 0) fail_io("cannot sync what was written");
}

void for_each_line(const std::string& path, const std::function<void(const std::string&)>& visit) {
    std::ifstream file(path, std::ios::binary);
    for (std::string line; std::getline(file, line) && !file.eof();) {
        if (!line.empty()) visit(line);
    }
}

}  // namespace edgeprof
