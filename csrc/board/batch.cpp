#include "board/batch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/text_files.h"

namespace edgeprof {

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        if (!line.empty()) lines.push_back(line);
    }
    return lines;
}

// A job line that cannot be read gives a record without an id; the queue knows whose it is.
std::string under_id(const std::string& record, const std::string& job_id) {
    if (json::string_member(record, "job_id") == job_id) return record;
    const json::Value tree = json::parse(record);
    json::Writer writer;
    writer.begin_object().member("job_id", job_id);
    if (const json::Object* members = tree.as_object()) {
        for (const auto& [key, value] : *members) {
            if (key != "job_id") writer.member(key, value);
        }
    }
    return writer.end_object().text();
}

// Records are appended whole: what a kill or a power cut left behind the last line end is cut off,
// and what does not fit on the disk is taken back.
class RecordFile {
  public:
    explicit RecordFile(const std::string& path) {
        const std::string content = read_text(path);
        const size_t end = content.rfind('\n');
        size_bytes_ = end == std::string::npos ? 0 : static_cast<off_t>(end + 1);
        for (const std::string& line : lines_of(content.substr(0, end + 1))) {
            done_.insert(json::string_member(line, "job_id"));
        }
        descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (descriptor_ < 0 || ftruncate(descriptor_, size_bytes_) != 0 ||
            lseek(descriptor_, size_bytes_, SEEK_SET) < 0) {
            fail_io(path);
        }
    }
    RecordFile(const RecordFile&) = delete;
    RecordFile& operator=(const RecordFile&) = delete;
    ~RecordFile() { close(descriptor_); }

    bool has(const std::string& job_id) const { return done_.count(job_id) != 0; }

    void append(const std::string& job_id, const std::string& record) {
        try {
            write_all(descriptor_, record + "\n");
            if (fsync(descriptor_) != 0) fail_io("cannot sync the records");
        } catch (const Error&) {
            static_cast<void>(ftruncate(descriptor_, size_bytes_) == 0);
            throw;
        }
        size_bytes_ += static_cast<off_t>(record.size() + 1);
        done_.insert(job_id);
    }

  private:
    int descriptor_ = -1;
    off_t size_bytes_ = 0;
    std::set<std::string> done_;
};

void set_environment(const std::string& path) {
    const std::string text = read_text(path);
    if (text.empty()) return;
    const json::Value tree = json::parse(text);
    const json::Object* variables = tree.as_object();
    if (variables == nullptr) return;
    for (const auto& [name, value] : *variables) {
        if (value.as_string() != nullptr) setenv(name.c_str(), value.as_string()->c_str(), 1);
    }
}

}  // namespace

void work_off(const std::string& batch_folder, const JobRunner& run_job) {
    set_environment(batch_folder + "/environment.json");
    RecordFile records(batch_folder + "/records.jsonl");
    for (const std::string& job : lines_of(read_text(batch_folder + "/jobs.jsonl"))) {
        const std::string job_id = json::string_member(job, "job_id");
        if (!records.has(job_id)) records.append(job_id, under_id(run_job(job), job_id));
    }
}

}  // namespace edgeprof
