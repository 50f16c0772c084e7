use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// For which shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub fn run(&self) {
        let mut command = super::Arguments::command();
        clap_complete::generate(self.shell, &mut command, "tocsin", &mut std::io::stdout());
    }
}
