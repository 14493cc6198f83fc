#include "board/batch.h"

#include <unistd.h>

#include <cstdlib>

#include "base/json.h"
#include "base/text_files.h"
#include "board/campaign.h"

namespace edgeprof {

namespace {

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

RecordFile::RecordFile(const std::string& path) : file_(path) {
    for_each_line(path, [this](const std::string& line) {
        done_.insert(json::string_member(line, "job_id"));
    });
}

void RecordFile::append(const std::string& job_id, const std::string& record) {
    file_.append(record);
    file_.sync();
    done_.insert(job_id);
}

void work_off(const std::string& batch_folder, const JobRunner& run_job, int reader) {
    set_environment(batch_folder + "/environment.json");
    if (access((batch_folder + "/campaign.json").c_str(), F_OK) == 0) {
        run_campaign(batch_folder, reader);
        return;
    }
    RecordFile records(batch_folder + "/records.jsonl");
    for (const std::string& job : lines_of(read_text(batch_folder + "/jobs.jsonl"))) {
        const std::string job_id = json::string_member(job, "job_id");
        if (!records.has(job_id)) records.append(job_id, under_id(run_job(job), job_id));
    }
}

}  // namespace edgeprof
