// The predictor of an .edgp file for Python.
#include "python/bind_predictor.h"

#include <pybind11/numpy.h>

#include <string>

#include "predictor/predictor.h"

namespace py = pybind11;

namespace edgeprof {
namespace {

using Codes = py::array_t<std::uint8_t, py::array::c_style>;

std::unique_ptr<CompactPredictor> load(const py::bytes& data) {
    const std::string_view view = data;
    auto predictor = std::make_unique<CompactPredictor>();
    const PredictorOutcome outcome =
        predictor->load(reinterpret_cast<const std::uint8_t*>(view.data()), view.size());
    if (!outcome.ok()) throw py::value_error(outcome.message);
    return predictor;
}

py::array_t<double> predict_codes(const CompactPredictor& predictor, const Codes& codes) {
    if (codes.ndim() != 2 || static_cast<std::size_t>(codes.shape(1)) != predictor.n_columns())
        throw py::value_error("codes want the shape (n, " + std::to_string(predictor.n_columns()) +
                              ")");
    const auto n = static_cast<std::size_t>(codes.shape(0));
    py::array_t<double> latency_ms(codes.shape(0));
    const std::uint8_t* in = codes.data();
    double* out = latency_ms.mutable_data();
    BadCode bad{};
    bool good = false;
    {
        // Nothing below touches Python: other threads may predict, or search, meanwhile.
        py::gil_scoped_release released;
        good = predictor.predict_ms(in, n, out, &bad);
    }
    if (!good)
        throw py::value_error("codes row " + std::to_string(bad.row) + ", column " +
                              std::to_string(bad.column) + ": " +
                              std::to_string(codes.at(bad.row, bad.column)) + ", want less than " +
                              std::to_string(predictor.cardinality(bad.column)));
    return latency_ms;
}

}  // namespace

void bind_predictor(py::module_& module) {
    py::class_<CompactPredictor>(module, "CompactPredictor", "Reader of an .edgp file.")
        .def(py::init(&load), py::arg("data"),
             "Reads the bytes of a file; ValueError says why not.")
        .def_property_readonly("space", &CompactPredictor::space, "Id of the search space.")
        .def_property_readonly("device", &CompactPredictor::device, "Name of the device.")
        .def_property_readonly("memory_bytes", &CompactPredictor::memory_bytes,
                               "All memory in use.")
        .def("predict_codes", &predict_codes, py::arg("codes"),
             "Latencies in ms of uint8 codes (n, columns); ValueError names a bad code.");
}

}  // namespace edgeprof
