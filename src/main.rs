//! The `propusk` program: everything is in the library.

fn main() -> std::process::ExitCode {
    propusk::cli::main()
}
