//! `moru log`: the changes made in this folder.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::output::print;
use crate::workspace::{Checkpoint, Workspace, WorkspaceError};

/// List the changes made in this folder, the newest last
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<(), WorkspaceError> {
    let checkpoints = workspace.log()?;
    if checkpoints.is_empty() && !args.json {
        print("no change has been made yet\n");
        return Ok(());
    }
    let mut text = String::new();
    for checkpoint in &checkpoints {
        text += &if args.json { serde_json::to_string(checkpoint)? } else { line(checkpoint, &TimeZone::system()) };
        text.push('\n');
    }
    print(&text);
    Ok(())
}

fn line(checkpoint: &Checkpoint, zone: &TimeZone) -> String {
    let Checkpoint { id, time, label, files, undone } = checkpoint;
    let time = Timestamp::from_second(*time).unwrap_or_default().to_zoned_datetime(zone.clone());
    let files: Vec<_> = files.iter().map(|file| file.as_str()).collect();
    let undone = if *undone { "  (undone)" } else { "" };
    format!("{:>4}  {}  {label}  [{}]{undone}", id.0, time.strftime("%Y-%m-%d %H:%M"), files.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::CheckpointId;

    #[test]
    fn a_line_names_number_time_label_files_and_state() {
        let checkpoint = Checkpoint {
            id: CheckpointId(12),
            time: 1_700_000_000,
            label: "edit src/a.py".into(),
            files: vec!["src/a.py".to_owned().try_into().unwrap()],
            undone: true,
        };
        assert_eq!(line(&checkpoint, &TimeZone::UTC), "  12  2023-11-14 22:13  edit src/a.py  [src/a.py]  (undone)");
    }
}
