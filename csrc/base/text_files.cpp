#include "base/text_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace edgeprof {

void fail_io(const std::string& what) {
    throw Error(ErrorKind::kOutputError, what + ": " + std::strerror(errno));
}

std::string read_text(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream content;
    content << stream.rdbuf();
    return content.str();
}

void write_all(int descriptor, const std::string& text) {
    size_t written = 0;
    while (written < text.size()) {
        const ssize_t n = write(descriptor, text.data() + written, text.size() - written);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_io("cannot write");
        written += static_cast<size_t>(n);
    }
}

}  // namespace edgeprof
