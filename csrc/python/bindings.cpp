// The extension module edgeprof._core: a table of contents, no arithmetic.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/version.h"
#include "board/isolation.h"
#include "board/reader.h"
#include "board/run_job.h"
#include "board/worker.h"
#include "machine/machine_state.h"
#include "python/bind_predictor.h"
#include "python/bind_tflite_runtime.h"
#include "record/record.h"
#include "record/warnings.h"
#include "runtimes/model_file.h"
#include "timing/statistics.h"

namespace py = pybind11;

namespace {

template <class Run>
std::string with_job(const std::string& line, Run&& run) {
    edgeprof::Job job;
    try {
        job = edgeprof::parse_job(line);
    } catch (const edgeprof::Error& error) {
        return edgeprof::failure_record(job.job_id, job.model_paths(), error, {});
    }
    return run(job);
}

// A job line in, a record line out, in this process.
std::string run_job_line(const std::string& line) {
    // The lock is let go: other Python threads must not stop the measurement, nor it them.
    const py::gil_scoped_release unlocked;
    return with_job(line, [](const edgeprof::Job& job) { return edgeprof::run_job(job, {}); });
}

// The same in a child of this process. The lock is kept: the child then has it too, and this
// process (edgeprof/python_door.py) has no other thread to want it.
std::string run_isolated_job_line(const std::string& line) {
    return with_job(line, [](const edgeprof::Job& job) {
        return edgeprof::run_isolated(job, edgeprof::reader_of(STDOUT_FILENO));
    });
}

// The board program's `worker`, for jobs that need Python. The lock is kept, as above.
int worker(const std::vector<std::string>& arguments) {
    return edgeprof::worker_main(arguments, run_isolated_job_line);
}

std::optional<std::pair<double, double>> median_interval(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const auto interval = edgeprof::median_interval(values, 1.0);
    if (!interval) return std::nullopt;
    return std::make_pair(interval->low, interval->high);
}

// The names by which a model file's inputs can be given shapes or values; None: it cannot be read.
std::optional<std::vector<std::string>> input_names(const std::string& path) {
    const std::optional<edgeprof::ModelFile> file = edgeprof::read_model_file(path);
    if (!file) return std::nullopt;
    std::vector<std::string> names;
    const auto add = [&](const std::vector<edgeprof::FileInput>& inputs) {
        for (const edgeprof::FileInput& input : inputs) names.push_back(input.name);
    };
    add(file->inputs);
    for (const edgeprof::FileSignature& signature : file->signatures) add(signature.inputs);
    return names;
}

// (id, found, consequence, remedy) of each, in the order in which they are told.
std::vector<std::array<std::string, 4>> warning_texts() {
    std::vector<std::array<std::string, 4>> texts;
    for (const edgeprof::WarningRule& rule : edgeprof::warning_rules()) {
        texts.push_back({rule.id, rule.found, rule.consequence, rule.remedy});
    }
    return texts;
}

}  // namespace

PYBIND11_MODULE(_core, module) {
    module.doc() = "The C++ core of edgeprof: timing harness and predictor reader.";
    module.def("input_names", &input_names, py::arg("path"),
               "Names of a model file's inputs; None where the file cannot be read.");
    module.def("machine_state_json", &edgeprof::machine_state_json, py::arg("root"),
               "Facts about the machine below a root folder, as one JSON object.");
    module.def("median_interval", &median_interval, py::arg("values"),
               "Distribution-free 95 % interval of the median; None below 6 values.");
    module.def("run_job", &run_job_line, py::arg("line"),
               "Run a job line in this process; returns its record line.");
    module.def("run_isolated_job", &run_isolated_job_line, py::arg("line"),
               "Run a job line in a child of this process, which must have no other thread.");
    module.def("worker", &worker, py::arg("arguments"),
               "Work batches off as `edgeprof-harness worker` does; returns the exit status.");
    edgeprof::provide_tflite_runtime();
    edgeprof::bind_predictor(module);
    module.def("version", &edgeprof::version, "Version of the C++ core.");
    module.def("warning_texts", &warning_texts,
               "Id, what is found, consequence and remedy of each warning of a measurement.");
    module.attr("NOTABLE_DRIFT_REL") = edgeprof::kNotableDrift;
}
